"""Optical flow between frames: pairs, flows, poses, occlusions, and their DataModule."""
