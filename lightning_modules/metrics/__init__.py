"""What a method is measured by, each sample counted once."""
