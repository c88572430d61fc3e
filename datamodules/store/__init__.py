"""Files that many processes read and write: locks, whole replacement, caches of rows."""
