"""The normalisation of images that published weights of image networks expect."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ImageNetNormalisation(nn.Module):
    """Subtracts ImageNet's mean colour and divides by its deviation.

    Its two constants are no part of a state dict, so that published weights fit as they are.
    """

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1), False)
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1), False)

    def forward(self, image: Tensor) -> Tensor:
        """Return normalised images for images [B, 3, H, W] in [0, 1]."""
        return (image - self.mean) / self.std
