"""One run: its folder, session, loggers, checkpoints."""
