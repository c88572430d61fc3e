"""Figures, captions and PNG files. Without torch, for what answers without it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from callbacks.figures.style import Picture, drawable, wrap
from datamodules.store.replacing import replacing

LINE_HEIGHT = 20
"""Pixels that a line of a caption has below a picture."""
DPI = 150
_LEAST_WIDTH = 480  # pixels of a picture with a caption
_CAPTION, _TITLE = 7.5, 9.5  # size of letters in points
_PACKED = 4  # of 9; the default of 6 takes twice the time for a tenth less


def new_figure(width: float, height: float, layout: Any = "constrained") -> Figure:
    """Make a figure, in inches, without pyplot, which would keep it and choose a toolkit."""
    return Figure(figsize=(width, height), dpi=DPI, layout=layout)


def new_axes(width: float, height: float, title: str) -> tuple[Figure, Axes]:
    """Make a figure of one plot, in inches, with its title over the whole width."""
    figure = new_figure(width, height)
    set_title(figure, title)
    return figure, figure.add_subplot()


def set_title(figure: Figure, title: str) -> None:
    """Put a title over a figure, in as many lines as its width takes."""
    title, font = drawable(title)
    lines = wrap(title, 72 * (figure.get_figwidth() - 0.2), _TITLE)
    place = {"x": 0.1 / figure.get_figwidth(), "ha": "left"}
    figure.suptitle("\n".join(lines), fontsize=_TITLE, font=font, parse_math=False, **place)


def captioned(picture: Picture, caption: str) -> Picture:
    """Add a caption below a picture.

    Args:
        picture: RGB [H, W, 3]; a narrow one is enlarged, each pixel to a square.
        caption: As many lines as the width takes.

    Returns:
        RGB, `LINE_HEIGHT` pixels a line higher than the picture, whose own pixels are as they were.
    """
    factor = max(1, math.ceil(_LEAST_WIDTH / picture.shape[1]))
    enlarged = picture.repeat(factor, axis=0).repeat(factor, axis=1)
    width = enlarged.shape[1]
    caption, font = drawable(caption)
    lines = wrap(caption, 72 * (width - 12) / DPI, _CAPTION)
    height = LINE_HEIGHT * len(lines)
    # Half a pixel more, since Matplotlib takes the whole part of an inexact number.
    figure = new_figure((width + 0.5) / DPI, (height + 0.5) / DPI, layout=None)
    for number, line in enumerate(lines):
        y = 1 - (number + 0.5) / len(lines)
        figure.text(6 / width, y, line, font=font, fontsize=_CAPTION, va="center", parse_math=False)
    return np.vstack([enlarged, raster(figure)])


def raster(figure: Figure) -> Picture:
    """Draw a figure into RGB [H, W, 3].

    Once: ``savefig`` draws a figure with a layout a first time to lay it out.
    """
    canvas: Any = FigureCanvasAgg(figure)  # which has no annotations
    canvas.draw()
    pixels: Picture = np.asarray(canvas.buffer_rgba())[..., :3]
    return pixels


def write_picture(path: Path, picture: Figure | Picture) -> None:
    """Write a figure or RGB [H, W, 3] as a PNG file, which appears whole or not at all."""
    pixels = raster(picture) if isinstance(picture, Figure) else picture
    with replacing(path) as aside:
        Image.fromarray(pixels).save(aside, dpi=(DPI, DPI), compress_level=_PACKED)
