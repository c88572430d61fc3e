"""Support vector machines on features: kernels, search and the fitted machines as tensors."""
