"""The methods, one a file; ``networks`` holds what they are made of."""

from lightning_modules.emotion_gan import EMotionGAN
from lightning_modules.flow_cnn import FlowCNNClassifier
from lightning_modules.ssim_vae import SSIMVAE

__all__ = ["SSIMVAE", "EMotionGAN", "FlowCNNClassifier"]
