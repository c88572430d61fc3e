"""What machines read of a face: the discriminator's features, and baselines that train no GAN."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from lightning_modules.networks.dcgan import DCGANDiscriminator
from lightning_modules.optim import evaluating
from lightning_modules.svm.hog import oriented_gradients


class FaceFeatures:
    """Features of faces, not yet standardised, by the names of their sources.

    Sources are discriminator, untrained (a discriminator too), hog, pixels and discriminator_hog.

    Args:
        discriminator: What the features of the first two are taken of.
        size: Side of the images, in pixels.
        channels: 1 for grey images, 3 for colour.
        blocks: Of the discriminator, see `DCGANSVM`.
        mirrored: Whether those of a face are the mean of its own and its mirror image's.
    """

    def __init__(
        self,
        discriminator: DCGANDiscriminator,
        *,
        size: int,
        channels: int,
        blocks: Literal["last", "all"],
        mirrored: bool,
    ) -> None:
        self.discriminator = discriminator
        self.size = size
        self.channels = channels
        self.blocks = blocks
        self.mirrored = mirrored

    @torch.no_grad()
    def __call__(self, image: Tensor, source: str) -> Tensor:
        """Return features [B, F] of faces [B, 3, H, W] in [0, 1]."""
        features = self._describe(image, source)
        if self.mirrored:
            features = (features + self._describe(image.flip(-1), source)) / 2
        return features

    def widths(self, source: str) -> list[int]:
        """Count the features of each block that is standardised by itself; empty for one alone."""
        if source not in ("discriminator", "untrained", "discriminator_hog"):
            return []
        widths = self.discriminator.pooled_widths[-1 if self.blocks == "last" else 0 :]
        if source == "discriminator_hog":
            blank = torch.zeros(1, self.channels, self.size, self.size)
            widths = [*widths, oriented_gradients(blank).shape[1]]
        return widths

    def encode(self, image: Tensor) -> Tensor:
        """Turn what a batch holds into [B, C, H, W] in [-1, 1]."""
        return 2 * self.shown(image) - 1

    def shown(self, image: Tensor) -> Tensor:
        """Turn what a batch holds into [B, C, H, W] in [0, 1]."""
        return image if self.channels == 3 else image.mean(dim=1, keepdim=True)

    def _describe(self, image: Tensor, source: str) -> Tensor:
        """Features [B, F] of faces as they are."""
        if source == "hog":
            return oriented_gradients(self.shown(image))
        if source == "discriminator_hog":
            both = [self._describe(image, part) for part in ("discriminator", "hog")]
            return torch.cat(both, dim=1)
        encoded = self.encode(image)
        if source == "pixels":
            return encoded.flatten(1)
        # In single precision whatever the trainer's: machines were fitted on such features.
        with torch.autocast(image.device.type, enabled=False), evaluating(self.discriminator):
            if self.blocks == "all":
                return self.discriminator.pooled_features(encoded.float())
            return self.discriminator.features(encoded.float())
