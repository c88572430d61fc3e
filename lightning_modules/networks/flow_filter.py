"""G_F on top of learnt subspaces: learns in minutes what the paper's G_F learns in hours."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from datamodules.errors import UserError
from lightning_modules.networks.blocks import (
    ResidualBlock,
    Upsample,
    check_size,
    downsample,
    head,
    stem,
)
from lightning_modules.networks.codec import FlowCodec
from lightning_modules.networks.motion_subspaces import MotionSubspaces

_LEVELS = 4
# The gate of an untrained filter: sigmoid(2) = 0.88 of the facial motion passes.
_OPEN = 2.0
_GROUPS = 3


class FlowFilter(nn.Module):
    """Corrects the facial motion that two linear subspaces find in a posed flow.

    The network sees the posed flow, what the subspaces take for the face's motion, and what the
    head's leaves of the posed flow. It emits a gate in (0, 1) for the facial motion and a
    correction; before its first step the result is nearly the facial motion of the subspaces.

    In training a flow is split by subspaces fitted without the third of the people that its person
    is in (cross-fitting): those fitted on everybody split their own flows better than a stranger's,
    and a network that met such splits alone would correct too little.

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
        self.held_out = nn.ModuleList(MotionSubspaces(size) for _ in range(_GROUPS))
        convolution, _, activation = stem(6, width)
        self.stem = nn.Sequential(convolution, activation)
        self.down = nn.ModuleList(downsample(width * 2**level) for level in range(_LEVELS))
        self.middle = nn.Sequential(*(ResidualBlock(width * 2**_LEVELS) for _ in range(7)))
        levels = list(reversed(range(_LEVELS)))
        self.up = nn.ModuleList(Upsample(width * 2 ** (level + 1)) for level in levels)
        self.merge = nn.ModuleList(
            nn.Conv2d(width * 2 ** (level + 1), width * 2**level, 1) for level in levels
        )
        self.head = head(width, 3)
        nn.init.normal_(self.head.weight, std=1e-3)
        with torch.no_grad():
            self.head.bias.copy_(torch.tensor((0.0, 0.0, _OPEN)))  # type: ignore[union-attr]

    def forward(self, posed: Tensor, person: Tensor | None = None) -> Tensor:
        """Correct flows.

        Args:
            posed: Encoded posed flows [B, 2, size, size].
            person: In training, the people that they are from, int64 [B].

        Returns:
            The encoded frontal flows.
        """
        check_size(posed.shape[-2:], 2**_LEVELS)
        # In pixels: motions fill a few hundredths of the encoded range.
        flow = self.codec.decode(posed)
        facial, rigid = self._split(flow, person)
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
        return cast(Tensor, corrected / self.codec.clip)

    def fit_subspaces(self, frontal: Tensor, posed: Tensor, person: Tensor) -> None:
        """Fit the subspaces of everybody, and those of all but a third of the people.

        Args:
            frontal: Frontal flows of training [N, 2, size, size] in pixels.
            posed: Posed flows of the same moments.
            person: The people that they are from, int64 [N].
        """
        self.subspaces.fit(frontal, posed)
        for group, subspaces in enumerate(self.held_out):
            others = _group(person) != group
            # Where a third is everybody, nobody else is there to learn from.
            known = others if others.any() else ~others
            cast(MotionSubspaces, subspaces).fit(frontal[known], posed[known])

    def _split(self, flow: Tensor, person: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return facial and head motion in pixels."""
        facial, head = self.subspaces(flow)
        if person is None:
            return facial, head
        for group, subspaces in enumerate(self.held_out):
            own = (_group(person) == group).view(-1, 1, 1, 1)
            of_face, of_head = subspaces(flow)
            facial, head = torch.where(own, of_face, facial), torch.where(own, of_head, head)
        return facial, head


def _group(person: Tensor) -> Tensor:
    return person.remainder(_GROUPS)
