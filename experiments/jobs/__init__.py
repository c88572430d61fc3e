"""Child processes: started, watched, ended in order."""
