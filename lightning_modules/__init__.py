"""The methods, one a file; ``networks`` holds what they are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datamodules.lazy import lazy

if TYPE_CHECKING:
    from lightning_modules.dcgan_svm import DCGANSVM
    from lightning_modules.emotion_gan import EMotionGAN
    from lightning_modules.flow_cnn import FlowCNNClassifier
    from lightning_modules.pcnn import PCNN
    from lightning_modules.resnet18 import ResNet18Classifier
    from lightning_modules.ssim_vae import SSIMVAE

__all__ = ["DCGANSVM", "PCNN", "SSIMVAE", "EMotionGAN", "FlowCNNClassifier", "ResNet18Classifier"]

__getattr__ = lazy(__name__, __file__)
