"""The reversible map between flows in pixels and what networks read and write."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from datamodules.errors import UserError
from losses.flow import vector_length

Representation = Literal["polar", "cartesian", "authors"]


@dataclass(frozen=True)
class FlowCodec:
    """Maps flows in pixels to two channels in [-1, 1] and back.

    ``polar``: magnitude divided by the clip, in [0, 1], and direction divided by pi, in (-1, 1],
    0 to the right and 0.5 downwards. A tanh may also return a negative magnitude; it decodes as
    the opposite direction, so that the way through zero motion is straight.
    ``cartesian``: the two components divided by the clip.
    ``authors``: 1 - 2 x of the magnitude divided by the clip and of the direction as a share of a
    turn, both in [0, 1]: no motion is 1, a full turn -1. What the authors' code reads and writes.
    In all, vectors longer than the clip are cut to it and keep their direction; what is shorter
    comes back exact. No map mixes pixels: angles wrap and must never be interpolated.

    Args:
        clip: Longest motion that is kept, in pixels of the flow's grid; above 0.
        representation: ``polar`` (paper), ``cartesian``, or ``authors``, which the weights that the
            authors published need.

    Reference:
        eMotion-GAN, III.A and IV.C.

    Deviation:
        The authors' code maps both channels to [1, -1], so that no motion is the limit of a tanh.
        Most pixels of a face do not move: here no motion is a magnitude of 0, unless
        ``representation`` is ``authors``. Also then no angle is interpolated: their code resizes
        magnitude and direction, ours vectors.
    """

    clip: float = 10.0
    representation: Representation = "polar"

    def __post_init__(self) -> None:
        if not (math.isfinite(self.clip) and self.clip > 0):
            raise UserError(f"The clip is a length in pixels above 0, got {self.clip}.")
        if self.representation not in get_args(Representation):
            raise UserError(
                "Expected the representation 'polar', 'cartesian' or 'authors', got "
                f"{self.representation!r}."
            )

    def encode(self, flow: Tensor) -> Tensor:
        """Encode flows; gradients are finite everywhere and 0 where there is no motion.

        Args:
            flow: Flow [B, 2, H, W] in pixels, channel 0 to the right, channel 1 down.

        Returns:
            float32 [B, 2, H, W] in [-1, 1].
        """
        flow = flow.float()
        magnitude = vector_length(flow)[:, None]
        if self.representation == "cartesian":
            return flow.div(magnitude.clamp(min=self.clip))
        # atan2 has no gradient at (0, 0): a still pixel is given the direction "right" instead.
        x, y = flow.chunk(2, dim=1)
        x, y = torch.where(magnitude > 0, x, 1.0), torch.where(magnitude > 0, y, 0.0)
        polar = torch.cat(
            (magnitude.clamp(max=self.clip) / self.clip, torch.atan2(y, x) / math.pi), 1
        )
        if self.representation == "polar":
            return polar
        magnitude, direction = polar.chunk(2, dim=1)
        half_turns = torch.where(direction < 0, direction + 2, direction)
        return torch.cat((1 - 2 * magnitude, 1 - half_turns), dim=1)

    def decode(self, encoded: Tensor) -> Tensor:
        """Decode what :meth:`encode` or a network returned.

        Args:
            encoded: [B, 2, H, W], about [-1, 1].

        Returns:
            float32 flow [B, 2, H, W] in pixels.
        """
        return self.unit_vectors(encoded) * self.clip

    def unit_vectors(self, encoded: Tensor) -> Tensor:
        """Decode to cartesian vectors whose unit is the clip, which losses compare.

        Args:
            encoded: [B, 2, H, W], about [-1, 1].

        Returns:
            float32 flow [B, 2, H, W], 1 at the clip.
        """
        encoded = encoded.float()
        if self.representation == "cartesian":
            return encoded
        magnitude, direction = encoded.chunk(2, dim=1)
        if self.representation == "authors":
            magnitude, direction = (1 - magnitude) / 2, 1 - direction
        angle = direction * math.pi
        return torch.cat((magnitude * angle.cos(), magnitude * angle.sin()), dim=1)

    def scale(self, encoded: Tensor, factor: float) -> Tensor:
        """Strengthen or weaken encoded flows [B, 2, H, W]; a factor of 1 changes no bit."""
        if self.representation == "cartesian":
            return encoded * factor
        magnitude, direction = encoded.chunk(2, dim=1)
        if self.representation == "authors":  # (1 - magnitude) / 2 is scaled
            scaled = magnitude + (1 - factor) * (1 - magnitude)
        else:
            scaled = magnitude * factor
        return torch.cat((scaled, direction), dim=1)
