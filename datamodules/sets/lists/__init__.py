"""Formats of the lists that come with data sets."""
