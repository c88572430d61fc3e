"""Sweeps: searches over parameters by validation, on as many devices as there are."""
