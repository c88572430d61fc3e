"""Distance between images as a frozen network sees them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

Extractor = Callable[[Tensor], Sequence[Tensor]]


def perceptual_loss(pred: Tensor, target: Tensor, extractor: Extractor) -> Tensor:
    """Sum over layers of the mean absolute difference of features.

    Args:
        pred: Images [B, 3, H, W] in [0, 1]; gradients flow to them.
        target: Images of the same shape; taken as constant.
        extractor: Maps images to a list of feature maps; its own normalisation included.

    Returns:
        A scalar, at least 0; 0 for equal images.

    Raises:
        ValueError: If the shapes differ.

    Reference:
        eMotion-GAN, III.D, equation (2), after Johnson et al. (ECCV 2016).

    Deviation:
        Johnson et al. square the differences; the authors' code takes their absolute value, and
        so do we. It resizes images to 224 pixels first; here they keep their size.
    """
    if pred.shape != target.shape:
        raise ValueError(
            f"Two batches of images of one shape are compared, got {tuple(pred.shape)} "
            f"and {tuple(target.shape)}."
        )
    with torch.no_grad():
        target_features = extractor(target)
    pairs = zip(extractor(pred), target_features, strict=True)
    return torch.stack(
        [functional.l1_loss(_precise(one), _precise(two)) for one, two in pairs]
    ).sum()


def _precise(features: Tensor) -> Tensor:
    return features.to(torch.promote_types(features.dtype, torch.float32))


class PerceptualLoss(nn.Module):
    """:func:`perceptual_loss` with an extractor that it freezes and keeps in evaluation mode.

    Args:
        extractor: A module that maps images [B, 3, H, W] in [0, 1] to a list of feature maps.
    """

    def __init__(self, extractor: nn.Module) -> None:
        super().__init__()
        self.extractor = extractor.requires_grad_(False)
        self.train(False)

    def forward(self, pred: Tensor, target: Tensor) -> Tensor:
        """Return the distance between two batches of images [B, 3, H, W] in [0, 1]."""
        return perceptual_loss(pred, target, self.extractor)

    def train(self, mode: bool = True) -> PerceptualLoss:
        """Set the mode of this shell only: the extractor stays in evaluation mode."""
        super().train(mode)
        self.extractor.eval()
        return self
