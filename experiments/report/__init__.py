"""Tables and statistics over runs."""
