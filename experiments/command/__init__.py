"""The command line: config files, usage, messages."""
