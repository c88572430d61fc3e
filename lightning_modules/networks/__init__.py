"""Plain modules and functions on tensors, without Lightning."""
