"""What there may be to predict on, how it is gone through, and what became of it."""
