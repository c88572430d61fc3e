"""What each recording's motion makes of each face: pictures of their own size, and a grid."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import cv2
import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from callbacks.figures.base import face_to_rgb
from callbacks.figures.colour_wheel import draw_wheel, flow_to_rgb, in_reference_pixels
from callbacks.figures.grid import Cell, Row, draw_grid
from callbacks.figures.style import Picture
from callbacks.outputs import gather
from datamodules.faces import Box, crop
from datamodules.motion.targets import Target

_MOST = 12  # recordings that are drawn
_EDGE = 0.06  # of the box's side, over which motion fades into the rest of the picture


class TransferGrid:
    """Draws for each recording its frame with the most motion, the flow, and each face after it.

    Only the best frame of each recording is held, so that the memory needed grows with their number
    and not with their length.

    Args:
        targets: The faces by their names, in the order of the outputs; None for one that has no
            picture, such as the average face.
        max_magnitude: Length of the full colour, in pixels of a 128x128 grid.

    Reference:
        eMotion-GAN, Figure 6.
    """

    keys = (
        *("apex", "frontalized_flow", "arriving_flow"),
        *("targets", "animated", "corrections"),
    )

    def __init__(self, targets: Mapping[str, Target | None], *, max_magnitude: float) -> None:
        self._targets = targets
        self._max_magnitude = max_magnitude
        self._best: dict[str, tuple[float, dict[str, Tensor]]] = {}

    def add(self, outputs: Mapping[str, Any]) -> None:
        """Keep the frame with the most motion of each recording of a batch."""
        flow = outputs["frontalized_flow"].float()
        motion = torch.linalg.vector_norm(flow, dim=1).mean(dim=(1, 2)).tolist()
        for i, (name, amount) in enumerate(zip(outputs["sequence"], motion, strict=True)):
            if name not in self._best or amount > self._best[name][0]:
                kept = {key: outputs[key][i].detach().float().cpu().clone() for key in self.keys}
                self._best[name] = (amount, kept)

    def gather(self) -> None:
        """Put the recordings of all processes together; every process must call it."""
        self._best = {name: best for part in gather(self._best) for name, best in part.items()}

    def pictures(self) -> Iterator[tuple[str, str, Picture]]:
        """Yield recording, face and its whole picture after the motion, in its own size."""
        for name in sorted(self._best)[:_MOST]:
            for face, picture in self._moved(self._best[name][1]).items():
                yield name, face, picture

    def draw(self, caption: Callable[[str], str]) -> Figure:
        """Draw the grid."""
        shown = sorted(self._best)[:_MOST]
        resting = self._best[shown[0]][1]["targets"]
        blank = face_to_rgb(torch.ones_like(resting[0]))
        rest = [
            face_to_rgb(face) if target is None else crop(target.picture, target.box)
            for target, face in zip(self._targets.values(), resting, strict=True)
        ]
        rows = [Row("at rest", [Cell(picture) for picture in (blank, blank, *rest)])]
        for name in shown:
            kept = self._best[name][1]
            flow = in_reference_pixels(kept["frontalized_flow"]).numpy()
            whole = self._moved(kept)
            faces = [
                face_to_rgb(face) if target is None else crop(whole[title], target.box)
                for (title, target), face in zip(
                    self._targets.items(), kept["animated"], strict=True
                )
            ]
            coloured = flow_to_rgb(flow, max_magnitude=self._max_magnitude)
            cells = [Cell(picture) for picture in (face_to_rgb(kept["apex"]), coloured, *faces)]
            rows.append(Row(name, cells))
        left = len(self._best) - len(shown)
        what = f"motion of {len(shown)} recordings on faces" + (f", {left} more" if left else "")
        wheel = partial(draw_wheel, max_magnitude=self._max_magnitude)
        columns = ["recording", "frontalized flow", *self._targets]
        return draw_grid(caption(what), columns, rows, wheel)

    def _moved(self, kept: Mapping[str, Tensor]) -> dict[str, Picture]:
        arriving = kept["arriving_flow"].numpy()
        found = zip(self._targets.items(), kept["corrections"], strict=True)
        return {
            name: animate(target.picture, target.box, arriving, correction.numpy())
            for (name, target), correction in found
            if target is not None
        }


def animate(
    picture: Picture,
    box: Box,
    arriving: NDArray[np.float32],
    correction: NDArray[np.float32],
) -> Picture:
    """Move the face of a picture of any size along a flow that is known on a smaller grid.

    The picture's own pixels are moved, so that it keeps its detail; what G_W adds to that is
    coarser. Both fade towards the edge of the box.

    Args:
        picture: uint8 [H, W, 3].
        box: The face in it; it may stick out.
        arriving: The motion that ends at each pixel, [2, h, w] in pixels of that grid.
        correction: What is added to the moved face, [3, h, w] in shares of white.
    """
    face = crop(picture, box).astype(np.float32)
    size, scale = (box.width, box.height), box.width / arriving.shape[-1]
    x, y = (scale * cv2.resize(part, size, interpolation=cv2.INTER_CUBIC) for part in arriving)
    columns, rows = np.meshgrid(*(np.arange(side, dtype=np.float32) for side in size))
    moved = cv2.remap(
        face, columns - x, rows - y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    added = cv2.resize(correction.transpose(1, 2, 0), size, interpolation=cv2.INTER_CUBIC)
    fading = np.outer(*(_fading(side) for side in reversed(size)))[..., None]
    face += fading * (moved + 255 * added - face)
    whole: Picture = picture.copy()
    left, top = max(box.left, 0), max(box.top, 0)
    inside = whole[top : box.top + box.height, left : box.left + box.width]
    inside[:] = (
        face[
            top - box.top : top - box.top + inside.shape[0],
            left - box.left : left - box.left + inside.shape[1],
        ]
        .clip(0, 255)
        .round()
    )
    return whole


def _fading(side: int) -> NDArray[np.float32]:
    """Return weights that rise from 0 at both ends of a side to 1."""
    place = (np.arange(side, dtype=np.float32) + 0.5) / side
    return np.minimum(np.minimum(place, 1 - place) / _EDGE, 1)
