"""Tables over runs, as files."""
