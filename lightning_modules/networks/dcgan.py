"""The generator and the discriminator of DCGAN, and the features that the latter has learnt."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from datamodules.errors import UserError

# Side of the maps that the generator starts from and the discriminator ends at.
_SEED = 4


class DCGANGenerator(nn.Module):
    """Transposed 4x4 convolutions from noise to a face.

    Args:
        latent: Number of latent dimensions Z.
        width: Channels of the last block before the image; each block before has twice as many.
        size: Side of the images in pixels: 16, 32, 64 or 128.
        channels: 1 for grey images, 3 for colour.

    Raises:
        UserError: If the size is none of these.

    Reference:
        Radford et al., DCGAN (arXiv 1511.06434), Figure 1 and 4; weights from N(0, 0.02).
    """

    def __init__(
        self, latent: int = 100, width: int = 64, size: int = 64, channels: int = 3
    ) -> None:
        super().__init__()
        self.latent = latent
        widths = _widths(width, size)[::-1]
        self.blocks = nn.Sequential(
            # No bias wherever batch norm follows: it would subtract it again.
            nn.ConvTranspose2d(latent, widths[0], _SEED, bias=False),
            nn.BatchNorm2d(widths[0]),
            nn.ReLU(inplace=True),
            *(
                nn.Sequential(
                    nn.ConvTranspose2d(wide, narrow, 4, stride=2, padding=1, bias=False),
                    nn.BatchNorm2d(narrow),
                    nn.ReLU(inplace=True),
                )
                for wide, narrow in pairwise(widths)
            ),
            nn.ConvTranspose2d(widths[-1], channels, 4, stride=2, padding=1),
        )
        self.apply(_initialise)

    def forward(self, noise: Tensor) -> Tensor:
        """Draw faces.

        Args:
            noise: Standard normal numbers [B, Z].

        Returns:
            Images [B, C, H, W] in [-1, 1].
        """
        return cast(Tensor, self.blocks(noise[:, :, None, None])).tanh()


class DCGANDiscriminator(nn.Module):
    """4x4 convolutions of stride 2 from a face to a logit: real or generated?

    Args:
        width: Channels of the first block; each block after it has twice as many.
        size: Side of the images in pixels: 16, 32, 64 or 128.
        channels: 1 for grey images, 3 for colour.

    Raises:
        UserError: If the size is none of these.

    Reference:
        Radford et al., DCGAN (arXiv 1511.06434), 3; features as in Alharbawee and Pugeault, 3.

    Deviation:
        The features are taken behind the batch norm and the activation of the last block; the
        paper does not say on which side of them.
    """

    def __init__(self, width: int = 64, size: int = 64, channels: int = 3) -> None:
        super().__init__()
        self._widths = widths = _widths(width, size)
        self.blocks = nn.Sequential(
            nn.Conv2d(channels, widths[0], 4, stride=2, padding=1),
            nn.LeakyReLU(0.2, inplace=True),
            *(
                nn.Sequential(
                    nn.Conv2d(narrow, wide, 4, stride=2, padding=1, bias=False),
                    nn.BatchNorm2d(wide),
                    nn.LeakyReLU(0.2, inplace=True),
                )
                for narrow, wide in pairwise(widths)
            ),
        )
        self.head = nn.Conv2d(widths[-1], 1, _SEED)
        self.apply(_initialise)

    def forward(self, image: Tensor) -> Tensor:
        """Return logits [B], positive for real, of images [B, C, H, W] in [-1, 1]."""
        return cast(Tensor, self.head(self.blocks(image))).flatten()

    def features(self, image: Tensor) -> Tensor:
        """Return what the last convolution block sees.

        Args:
            image: Images [B, C, H, W] in [-1, 1].

        Returns:
            Features [B, F], of channels times 4 x 4 places, the places of a channel side by side;
            512 x 4 x 4 = 8,192 for width and size 64.
        """
        return cast(Tensor, self.blocks(image)).flatten(1)

    def pooled_features(self, image: Tensor) -> Tensor:
        """Return what every convolution block sees, each at 4 x 4 places.

        Args:
            image: Images [B, C, H, W] in [-1, 1].

        Returns:
            Features [B, F] of the blocks in their order, F as :attr:`pooled_widths` says; the last
            are those of :meth:`features`.

        Reference:
            Radford et al., DCGAN (arXiv 1511.06434), 5.1.
        """
        maps = self.blocks[:2](image)  # a convolution and its activation
        pools = [functional.adaptive_max_pool2d(maps, _SEED)]
        for block in list(self.blocks)[2:]:
            maps = block(maps)
            pools.append(functional.adaptive_max_pool2d(maps, _SEED))
        return torch.cat([pool.flatten(1) for pool in pools], dim=1)

    @property
    def pooled_widths(self) -> list[int]:
        """Number of features that each block has in :meth:`pooled_features`."""
        return [width * _SEED * _SEED for width in self._widths]

    def channel_means(self, features: Tensor) -> Tensor:
        """Return the mean of each channel of the last block [B, C] over its places.

        Args:
            features: What :meth:`features` or :meth:`pooled_features` returned.
        """
        last = features[:, -self.pooled_widths[-1] :]
        return last.reshape(len(last), self._widths[-1], -1).mean(dim=2)


@contextmanager
def keeping_statistics(network: nn.Module) -> Iterator[None]:
    """Let a network normalise by its batch without taking the batch into its running statistics.

    Args:
        network: A network with batch norms, in training mode.
    """
    norms = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
    before = [layer.momentum for layer in norms]
    for layer in norms:
        layer.momentum = 0.0
    try:
        yield
    finally:
        for layer, momentum in zip(norms, before, strict=True):
            layer.momentum = momentum


@contextmanager
def gathering_statistics(network: nn.Module) -> Iterator[None]:
    """Let batch norms start anew and average over all that passes, weights left as they are.

    Args:
        network: A network with batch norms; it is in training mode meanwhile.
    """
    norms = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
    before, training = [layer.momentum for layer in norms], network.training
    for layer in norms:
        layer.reset_running_stats()
        layer.momentum = None
    network.train()
    try:
        yield
    finally:
        network.train(training)
        for layer, momentum in zip(norms, before, strict=True):
            layer.momentum = momentum


def _widths(width: int, size: int) -> list[int]:
    blocks = {16: 2, 32: 3, 64: 4, 128: 5}
    if size not in blocks:
        raise UserError(
            f"DCGAN draws squares of {', '.join(map(str, blocks))} pixels, but size is {size}."
        )
    return [width * 2**block for block in range(blocks[size])]


def _initialise(layer: nn.Module) -> None:
    """Draw weights from N(0, 0.02), and the scales of batch norms from N(1, 0.02)."""
    if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.normal_(layer.weight, 0.0, 0.02)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
    elif isinstance(layer, nn.BatchNorm2d):
        nn.init.normal_(layer.weight, 1.0, 0.02)
        torch.nn.init.zeros_(layer.bias)
