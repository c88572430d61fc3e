"""Still faces: decoded once, augmented on the device, and their DataModule."""
