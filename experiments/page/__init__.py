"""The page of a comparison: one self-contained file, and the same table for a paper."""
