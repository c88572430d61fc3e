"""Motion of one person on the face of another, stronger or weaker.

Reference:
    eMotion-GAN, V.B.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from datamodules.errors import UserError
from lightning_modules.networks.codec import FlowCodec
from lightning_modules.networks.image_generator import ImageGenerator
from lightning_modules.networks.warp import arriving, warp


def target_faces(data: Any, average: Tensor) -> list[Tensor]:
    """Return the faces that a data module names, to put motion onto.

    Args:
        data: Has ``targets``, see `FlowDataModule`, or none.
        average: The average face [3, H, W] that the method keeps, all zero where it keeps none.

    Returns:
        Faces float32 [3, H, W] in [0, 1] on the device of ``average``; none where motion stays with
        its own face.

    Raises:
        UserError: If the average face is named, and there is none.
    """
    targets = getattr(data, "targets", {}).values()
    if any(target is None for target in targets) and not average.any():
        raise UserError(
            "These weights keep no average face, which a training computes and its checkpoint "
            "keeps: train again, or give data.neutral a picture."
        )
    return [
        average if target is None else torch.from_numpy(target.face).to(average.device)
        for target in targets
    ]


def animate(
    g_w: ImageGenerator, codec: FlowCodec, face: Tensor, encoded: Tensor, gain: float
) -> Tensor:
    """Animate neutral faces with flows to which a gain was applied.

    What G_W makes of a face at rest, it should not have: the weaker the motion, the more of that
    is taken back, so that a gain of 0 gives the neutral face. From 1 on the face is G_W's own.

    Args:
        g_w: Draws the faces.
        codec: Of its flows.
        face: [B, 3, H, W] in [0, 1].
        encoded: Encoded flows [B, 2, H, W].
        gain: By what they were multiplied.

    Returns:
        Faces float32 [B, 3, H, W] in [0, 1].
    """
    drawn: Tensor = g_w(face, encoded).float()
    if gain >= 1:
        return drawn
    still: Tensor = g_w(face, codec.scale(encoded, 0)).float()
    return (drawn + (1 - gain) * (face - still)).clamp(0, 1)


def transferred(
    faces: Sequence[Tensor], animated: Sequence[Tensor], flow: Tensor
) -> dict[str, Tensor]:
    """Gather what pictures of a transfer need.

    Args:
        faces: T faces at rest, each [B, 3, H, W].
        animated: The same after the motion.
        flow: The motion [B, 2, H, W] in pixels.

    Returns:
        ``targets`` and ``animated`` [B, T, 3, H, W]; ``corrections``, what G_W adds to the pure
        warp; and for pictures of any size ``arriving_flow`` [B, 2, H, W], the motion that ends at
        each pixel.
    """
    after = torch.stack(list(animated), 1)
    moved = torch.stack([warp(face, flow) for face in faces], 1)
    return {
        "targets": torch.stack(list(faces), 1),
        "animated": after,
        "corrections": after - moved,
        "arriving_flow": arriving(flow),
    }
