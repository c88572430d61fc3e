"""G_F on top of a fitted head motion: learns in minutes what the paper's G_F learns in hours."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from datamodules.errors import UserError
from lightning_modules.networks.blocks import (
    ResidualBlock,
    check_size,
    downsample,
    head,
    stem,
    upsample,
)
from lightning_modules.networks.codec import FlowCodec
from lightning_modules.networks.head_motion import remove_head_motion

_LEVELS = 4


class FlowFilter(nn.Module):
    """Corrects a flow from which the fitted head motion was taken.

    The network sees the posed flow and what is left of it, and emits a gate in (0, 1), which
    closes where only head or background moved, and a correction.

    Args:
        codec: How flows are encoded; cartesian.
        width: Channels of the stem, doubled by every downsampling block.

    Raises:
        UserError: If the codec is polar.

    Reference:
        eMotion-GAN, III.B a), for the blocks and their number.

    Deviation:
        The paper's G_F draws the frontal flow anew from 8x8 cells, which takes it many epochs.
        Here head motion is first fitted in closed form, skip connections carry detail past the
        bottleneck, and the stem has no instance norm, so that the length of motion survives. The
        result may leave [-1, 1].
    """

    def __init__(self, codec: FlowCodec, width: int = 64) -> None:
        super().__init__()
        if codec.representation != "cartesian":
            raise UserError(
                "flow_prior filter adds flows, and angles cannot be added: choose representation "
                "cartesian, or flow_prior none."
            )
        self.codec = codec
        convolution, _, activation = stem(4, width)
        self.stem = nn.Sequential(convolution, activation)
        self.down = nn.ModuleList(downsample(width * 2**level) for level in range(_LEVELS))
        self.middle = nn.Sequential(*(ResidualBlock(width * 2**_LEVELS) for _ in range(7)))
        levels = list(reversed(range(_LEVELS)))
        self.up = nn.ModuleList(upsample(width * 2 ** (level + 1)) for level in levels)
        self.merge = nn.ModuleList(
            nn.Conv2d(width * 2 ** (level + 1), width * 2**level, 1) for level in levels
        )
        self.head = head(width, 3)
        # About the fitted flow, half let through, at the start.
        nn.init.normal_(self.head.weight, std=1e-2)
        nn.init.zeros_(cast(Tensor, self.head.bias))

    def forward(self, posed: Tensor) -> Tensor:
        """Return the encoded frontal flow of encoded posed flows [B, 2, H, W]."""
        check_size(posed.shape[-2:], 2**_LEVELS)
        left = self.codec.encode(remove_head_motion(self.codec.decode(posed)))
        features = self.stem(torch.cat((left, posed), dim=1))
        skipped = []
        for down in self.down:
            skipped.append(features)
            features = down(features)
        features = self.middle(features)
        for up, merge in zip(self.up, self.merge, strict=True):
            features = merge(torch.cat((up(features), skipped.pop()), dim=1))
        drawn = self.head(features).float()
        return torch.sigmoid(drawn[:, 2:]) * left + torch.tanh(drawn[:, :2])
