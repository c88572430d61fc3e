"""Heat over pictures, from nothing where there is none, and its scale."""

from __future__ import annotations

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes

from callbacks.figures.pictures import DPI, new_figure, raster
from callbacks.figures.style import HEAT, Picture

_OPACITY = 0.75
_BAR = 78  # pixels
_HIGHEST = 480  # pixels


def blend_heat(picture: Picture, heat: Picture) -> Picture:
    """Lay heat, uint8 [H, W], over a picture, RGB [H, W, 3], the more opaque the hotter."""
    colours = 255 * colormaps[HEAT](heat)[..., :3]
    share = _OPACITY * (heat.astype(np.float32) / 255)[..., None]
    blended: Picture = (picture * (1 - share) + colours * share).round().astype(np.uint8)
    return blended


def draw_heat_scale(axes: Axes) -> None:
    """Draw the colours of heat, as they are over a grey picture, at the left of axes."""
    axes.set_axis_off()
    bar = axes.inset_axes((0, 0, 0.12, 1))
    levels = np.arange(255, -1, -1, dtype=np.uint8)[:, None]
    grey = np.full((256, 1, 3), 160, np.uint8)
    bar.imshow(blend_heat(grey, levels), extent=(0, 1, 0, 1), aspect="auto")
    bar.yaxis.tick_right()
    bar.yaxis.set_label_position("right")
    bar.set_xticks([])
    bar.set_yticks([0, 1], ["0", "most"], fontsize=7.5)
    bar.tick_params(length=2, pad=2)
    bar.set_ylabel("Grad-CAM++", fontsize=7.5, labelpad=-8)


def heat_bar(height: int) -> Picture:
    """Draw the scale for the right of a picture of so many pixels, RGB [height, W, 3]."""
    tall = min(height, _HIGHEST)
    figure = new_figure((_BAR + 0.5) / DPI, (tall + 0.5) / DPI, layout=None)
    draw_heat_scale(figure.add_axes((0.1, 0.03, 1.4, 0.94)))
    below = np.full((height - tall, _BAR, 3), 255, np.uint8)
    return np.vstack([raster(figure), below])
