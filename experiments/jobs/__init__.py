"""Resumable steps as child processes: what they need, where they run, how they end."""
