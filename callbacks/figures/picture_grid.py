"""A grid of labelled pictures with the colour wheel beside it, as one PNG file."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from callbacks.figures.colour_wheel import wheel_legend
from datamodules.store.replacing import replacing

_DPI = 150
_CELL, _GAP, _CAPTION, _HEADER = 1.5, 0.08, 0.2, 0.3  # inches
_TITLE, _LABEL, _LEGEND, _MARGIN = 0.45, 1.35, 1.35, 0.12  # inches


@dataclass(frozen=True)
class Cell:
    """One picture of a grid.

    Attributes:
        image: RGB in 0..255, shape [H, W, 3].
        caption: What stands below it; empty for nothing.
    """

    image: npt.NDArray[np.uint8]
    caption: str = ""


@dataclass(frozen=True)
class Row:
    """One row of a grid.

    Attributes:
        label: What stands to its left, a few short lines.
        cells: One picture for each column.
    """

    label: str
    cells: Sequence[Cell]


def draw_grid(
    path: Path, *, title: str, columns: Sequence[str], rows: Sequence[Row], max_magnitude: float
) -> None:
    """Draw rows of pictures under column titles, with the wheel and its scale on the right.

    The figure is made without pyplot, which would keep it and choose a window toolkit.

    Args:
        path: PNG file to write; it appears whole or not at all.
        title: Line above the grid.
        columns: Titles of the columns.
        rows: The pictures.
        max_magnitude: Length in pixels of the full colour, said under the wheel.
    """
    row_height = _CELL + _CAPTION + _GAP
    width = _LABEL + len(columns) * (_CELL + _GAP) + _LEGEND + _MARGIN
    height = _TITLE + _HEADER + len(rows) * row_height + _MARGIN
    figure = Figure(figsize=(width, height), dpi=_DPI)
    FigureCanvasAgg(figure)

    def put(
        image: npt.NDArray[np.uint8], left: float, top: float, size: float, framed: bool = True
    ) -> None:
        """Place a square picture; ``left`` and ``top`` are inches from the upper left corner."""
        box = (left / width, 1 - (top + size) / height, size / width, size / height)
        axes = figure.add_axes(box)
        axes.imshow(image, interpolation="lanczos", aspect="auto")
        axes.set_xticks([])
        axes.set_yticks([])
        # A flow without motion is white: without a frame it would not be seen as a picture.
        for spine in axes.spines.values():
            spine.set(visible=framed, color="0.8", linewidth=0.6)

    def write(text: str, x: float, y: float, size: float, **style: Any) -> None:
        """Write text; ``x`` and ``y`` are inches from the upper left corner."""
        # A dollar sign in the name of a sequence is no formula.
        figure.text(x / width, 1 - y / height, text, fontsize=size, parse_math=False, **style)

    write(title, _MARGIN, _TITLE / 2 + 0.05, 11, ha="left", va="center", weight="bold")
    first_row = _TITLE + _HEADER
    for column, name in enumerate(columns):
        centre = _LABEL + column * (_CELL + _GAP) + _CELL / 2
        write(name, centre, first_row - 0.07, 9.5, ha="center", va="bottom")
    for number, row in enumerate(rows):
        top = first_row + number * row_height
        write(_wrapped(row.label), _LABEL - 0.1, top + _CELL / 2, 8.5, ha="right", va="center")
        for column, cell in enumerate(row.cells):
            left = _LABEL + column * (_CELL + _GAP)
            put(cell.image, left, top, _CELL)
            centre = left + _CELL / 2
            write(cell.caption, centre, top + _CELL + 0.03, 7.5, ha="center", va="top")
    wheel = _LEGEND - 0.35
    left = width - _MARGIN - wheel - 0.1
    put(wheel_legend(256), left, first_row, wheel, framed=False)
    said = f"full colour: {max_magnitude:g} px\ndarkened: longer"
    write(said, left + wheel / 2, first_row + wheel + 0.08, 8, ha="center", va="top")
    with replacing(path) as aside:
        figure.savefig(aside)


def _wrapped(label: str) -> str:
    """Break long lines, such as the names of files, so that they stay beside the pictures."""
    return "\n".join(textwrap.fill(line, 20) for line in label.split("\n"))
