"""G_F on top of learnt subspaces: learns in minutes what the paper's G_F learns in hours."""

from __future__ import annotations

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
from lightning_modules.networks.motion_subspaces import MotionSubspaces

_LEVELS = 4
# The gate of an untrained filter: sigmoid(2) = 0.88 of the facial motion passes.
_OPEN = 2.0


class FlowFilter(nn.Module):
    """Corrects the facial motion that two linear subspaces find in a posed flow.

    The network sees the posed flow, what the subspaces take for the face's motion, and what the
    head's leaves of the posed flow. It emits a gate in (0, 1) for the facial motion and a
    correction; before its first step the result is nearly the facial motion of the subspaces.

    Args:
        codec: How flows are encoded; cartesian.
        size: Side of the flows in pixels.
        width: Channels of the stem, doubled by every downsampling block.

    Raises:
        UserError: If the codec is polar.

    Reference:
        eMotion-GAN, III.B a), for the blocks and their number.

    Deviation:
        The paper's G_F draws the frontal flow anew from 8x8 cells, which takes it many epochs.
        Here facial and head motion are first separated linearly, skip connections carry detail past
        the bottleneck, and the stem has no instance norm, so that the length of motion survives.
        The result may leave [-1, 1].
    """

    def __init__(self, codec: FlowCodec, size: int, width: int = 64) -> None:
        super().__init__()
        if codec.representation != "cartesian":
            raise UserError(
                "flow_prior filter adds flows, and angles cannot be added: choose representation "
                "cartesian, or flow_prior none."
            )
        self.codec = codec
        self.subspaces = MotionSubspaces(size)
        convolution, _, activation = stem(6, width)
        self.stem = nn.Sequential(convolution, activation)
        self.down = nn.ModuleList(downsample(width * 2**level) for level in range(_LEVELS))
        self.middle = nn.Sequential(*(ResidualBlock(width * 2**_LEVELS) for _ in range(7)))
        levels = list(reversed(range(_LEVELS)))
        self.up = nn.ModuleList(upsample(width * 2 ** (level + 1)) for level in levels)
        self.merge = nn.ModuleList(
            nn.Conv2d(width * 2 ** (level + 1), width * 2**level, 1) for level in levels
        )
        self.head = head(width, 3)
        nn.init.normal_(self.head.weight, std=1e-3)
        with torch.no_grad():
            self.head.bias.copy_(torch.tensor((0.0, 0.0, _OPEN)))  # type: ignore[union-attr]

    def forward(self, posed: Tensor) -> Tensor:
        """Return the encoded frontal flow of encoded posed flows [B, 2, size, size]."""
        check_size(posed.shape[-2:], 2**_LEVELS)
        # In pixels: motions fill a few hundredths of the encoded range.
        flow = self.codec.decode(posed)
        facial, rigid = self.subspaces(flow)
        features = self.stem(torch.cat((facial, flow - rigid, flow), dim=1))
        skipped = []
        for down in self.down:
            skipped.append(features)
            features = down(features)
        features = self.middle(features)
        for up, merge in zip(self.up, self.merge, strict=True):
            features = merge(torch.cat((up(features), skipped.pop()), dim=1))
        drawn = self.head(features).float()
        corrected = torch.sigmoid(drawn[:, 2:]) * facial + drawn[:, :2]
        return corrected / self.codec.clip
