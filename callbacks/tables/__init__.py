"""The table that a test ends with."""
