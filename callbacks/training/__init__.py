"""What changes how a training runs."""
