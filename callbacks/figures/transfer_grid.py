"""A grid of motion and faces: what each recording's motion makes of each face."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from callbacks.figures.base import face_to_rgb
from callbacks.figures.colour_wheel import draw_wheel, flow_to_rgb, in_reference_pixels
from callbacks.figures.grid import Cell, Row, draw_grid
from callbacks.outputs import gather

_MOST = 12  # recordings in a picture


class TransferGrid:
    """Draws for each recording its frame with the most motion, the flow, and each face after it.

    Only the best frame of each recording is held, so that the memory needed grows with their number
    and not with their length.

    Args:
        names: Names of the faces, in the order of the outputs.
        max_magnitude: Length of the full colour, in pixels of a 128x128 grid.

    Reference:
        eMotion-GAN, Figure 6.
    """

    keys = ("apex", "frontalized_flow", "animated", "targets")

    def __init__(self, names: Sequence[str], *, max_magnitude: float) -> None:
        self._names = names
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

    def draw(self, caption: Callable[[str], str]) -> Figure | None:
        """Draw the grid; every process must call it, and gets None where nothing was seen."""
        found = {name: best for part in gather(self._best) for name, best in part.items()}
        if not found:
            return None
        shown = sorted(found)[:_MOST]
        faces = found[shown[0]][1]["targets"]
        blank = torch.ones_like(faces[0])
        rest = [Cell(face_to_rgb(face)) for face in (blank, blank, *faces)]
        rows = [Row("at rest", rest)]
        for name in shown:
            kept = found[name][1]
            flow = in_reference_pixels(kept["frontalized_flow"]).numpy()
            cells = [
                Cell(face_to_rgb(kept["apex"])),
                Cell(flow_to_rgb(flow, max_magnitude=self._max_magnitude)),
                *(Cell(face_to_rgb(face)) for face in kept["animated"]),
            ]
            rows.append(Row(name, cells))
        left = len(found) - len(shown)
        what = f"{len(shown)} recordings' motion on faces" + (f", {left} more" if left else "")
        wheel = partial(draw_wheel, max_magnitude=self._max_magnitude)
        columns = ["recording", "frontalized flow", *self._names]
        return draw_grid(caption(what), columns, rows, wheel)
