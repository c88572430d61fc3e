"""The blocks that the flow and the image generator of eMotion-GAN are made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from datamodules.errors import UserError


class Blocks(NamedTuple):
    """How many blocks a generator has.

    Attributes:
        samplings: Downsampling blocks of each encoder, and upsampling blocks of the decoder.
        encoding: Residual blocks of each encoder.
        decoding: Residual blocks of the decoder.
    """

    samplings: int
    encoding: int
    decoding: int


def stem(in_channels: int, width: int) -> nn.Sequential:
    """7x7 convolution under reflection padding, instance norm, ReLU; keeps the size.

    Args:
        in_channels: Channels of the flow or the image.
        width: Channels that leave.
    """
    return nn.Sequential(
        nn.Conv2d(in_channels, width, 7, padding=3, padding_mode="reflect", bias=False),
        nn.InstanceNorm2d(width),
        nn.ReLU(inplace=True),
    )


def downsample(channels: int) -> nn.Sequential:
    """4x4 convolution of stride 2, instance norm, ReLU; halves the size, doubles the channels.

    Args:
        channels: Channels that enter.
    """
    return nn.Sequential(
        # No bias here or wherever instance norm follows: it would subtract it again.
        nn.Conv2d(channels, 2 * channels, 4, stride=2, padding=1, bias=False),
        nn.InstanceNorm2d(2 * channels),
        nn.ReLU(inplace=True),
    )


class DeviationNorm(nn.GroupNorm):
    """The layer norm of the authors' code, which divides by the deviation plus epsilon.

    Args:
        channels: Channels that enter and leave.

    Deviation:
        :class:`Upsample` says what stands in its place where no published weights are used. The
        two differ by about 2e-5 of the range of a face, so that weights keep their meaning.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(1, channels)

    def forward(self, features: Tensor) -> Tensor:
        """Return features of the shape of ``features`` [B, C, H, W]."""
        features = features.float()
        deviation, mean = torch.std_mean(features, dim=(1, 2, 3), keepdim=True)
        normed = (features - mean) / (deviation + self.eps)
        return normed * self.weight.view(-1, 1, 1) + self.bias.view(-1, 1, 1)


class Upsample(nn.Sequential):
    """Nearest-neighbour upsampling, 5x5 convolution, layer norm, ReLU; halves the channels.

    Args:
        channels: Channels that enter.
        published: Whether the norm is :class:`DeviationNorm`, for the weights of the authors.

    Deviation:
        The paper does not name the axes of its layer norm. As in its code, each sample is
        normalised over channels and space, then scaled and shifted a channel: a group norm of one
        group, which is what stands here. Its code draws the scales from [0, 1] and divides by
        (std + eps); here they start at 1 and the division is by sqrt(var + eps).
        The first two layers are computed as one: 5x5 pixels after the upsampling are 3x3 before
        it, some of them doubled, so that each of the four pixels that a pixel becomes is a 3x3
        convolution with sums of the 5x5 weights. It is the same function, of 9 in place of 25
        multiplications.
    """

    sums: Tensor

    def __init__(self, channels: int, *, published: bool = False) -> None:
        after = channels // 2
        super().__init__(
            nn.Upsample(scale_factor=2),
            nn.Conv2d(channels, after, 5, padding=2),
            DeviationNorm(after) if published else nn.GroupNorm(1, after),
            nn.ReLU(inplace=True),
        )
        first = [[1, 1, 0, 0, 0], [0, 0, 1, 1, 0], [0, 0, 0, 0, 1]]
        second = [[1, 0, 0, 0, 0], [0, 1, 1, 0, 0], [0, 0, 0, 1, 1]]
        # (which of two pixels, its neighbours before the upsampling, those after it)
        self.register_buffer("sums", torch.tensor([first, second]).float(), persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        """Return [B, channels / 2, 2H, 2W] for features [B, channels, H, W]."""
        conv, norm, relu = cast(nn.Conv2d, self[1]), self[2], self[3]
        # (channels / 2, 2, 2, channels, 3, 3)
        weight = torch.einsum("aik,bjl,ockl->oabcij", self.sums, self.sums, conv.weight)
        four = functional.conv2d(
            features, weight.flatten(0, 2), cast(Tensor, conv.bias).repeat_interleave(4), padding=1
        )
        return relu(norm(functional.pixel_shuffle(four, 2)))  # type: ignore[no-any-return]


def head(width: int, out_channels: int) -> nn.Conv2d:
    """7x7 convolution under reflection padding to flow or image channels, before any tanh.

    Args:
        width: Channels that enter.
        out_channels: Channels of the flow or the image.
    """
    return nn.Conv2d(width, out_channels, 7, padding=3, padding_mode="reflect")


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with instance norm, a ReLU between, added to what entered.

    Args:
        channels: Channels that enter and leave.

    Reference:
        eMotion-GAN, III.B a).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.block = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect", bias=False),
            nn.InstanceNorm2d(channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect", bias=False),
            nn.InstanceNorm2d(channels),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Return features of the shape of ``features`` [B, C, H, W]."""
        return features + self.block(features)  # type: ignore[no-any-return]


def encoder(in_channels: int, width: int, *, downsamplings: int, residuals: int) -> nn.Sequential:
    """Stem, downsampling blocks, residual blocks.

    Args:
        in_channels: Channels of the flow or the image.
        width: Channels of the stem; every downsampling doubles them.
        downsamplings: Number of downsampling blocks.
        residuals: Number of residual blocks.

    Returns:
        A module from [B, in_channels, H, W] to
        [B, width * 2^downsamplings, H / 2^downsamplings, W / 2^downsamplings].
    """
    return nn.Sequential(
        stem(in_channels, width),
        *(downsample(width * 2**level) for level in range(downsamplings)),
        *(ResidualBlock(width * 2**downsamplings) for _ in range(residuals)),
    )


def decoder(
    channels: int, out_channels: int, *, upsamplings: int, residuals: int, published: bool = False
) -> nn.Sequential:
    """Residual blocks, upsampling blocks, head.

    Args:
        channels: Channels that enter; every upsampling halves them.
        out_channels: Channels of the flow or the image.
        upsamplings: Number of upsampling blocks.
        residuals: Number of residual blocks.
        published: See :class:`Upsample`.

    Returns:
        A module from [B, channels, H, W] to [B, out_channels, H * 2^upsamplings, ...].
    """
    return nn.Sequential(
        *(ResidualBlock(channels) for _ in range(residuals)),
        *(Upsample(channels // 2**level, published=published) for level in range(upsamplings)),
        head(channels // 2**upsamplings, out_channels),
    )


def check_size(size: Sequence[int], multiple: int) -> None:
    """Refuse sizes that the downsampling blocks cannot halve.

    Args:
        size: Height and width.
        multiple: Two to the power of the number of downsampling blocks.

    Raises:
        UserError: If a side is no multiple, or so short that one pixel would be left, which
            instance norm would erase.
    """
    height, width = size
    if height % multiple or width % multiple or min(height, width) < 2 * multiple:
        raise UserError(
            f"The generator needs sides that are multiples of {multiple} and at least "
            f"{2 * multiple} pixels, got {height}x{width}; choose another size."
        )
