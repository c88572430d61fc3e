"""The methods, one a file; ``networks`` holds what they are made of."""

from lightning_modules.emotion_gan import EMotionGAN

__all__ = ["EMotionGAN"]
