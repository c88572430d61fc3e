"""Optical flow as colours: the wheel of Baker et al., with its scale always said.

Hue is the direction of the motion and saturation its length: no motion is white, the longest
motion of the scale is a pure colour, and what lies beyond the scale is darkened, so that a
clipped flow is seen to be clipped.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.patches import Circle
from torch import Tensor

from datamodules.batch import REFERENCE_SIDE

# The six arcs of the wheel: number of colours, channel that moves, whether it rises.
_ARCS = (
    (15, 1, True),  # red to yellow
    (6, 0, False),  # yellow to green
    (4, 2, True),  # green to cyan
    (11, 1, False),  # cyan to blue
    (13, 0, True),  # blue to magenta
    (6, 2, False),  # magenta to red
)
_BEYOND = 0.75
_SAID = {"boxstyle": "square,pad=0.1", "facecolor": "white", "linewidth": 0, "alpha": 0.8}


def colour_wheel() -> npt.NDArray[np.uint8]:
    """Return the colours of the wheel, from red on, by rising angle.

    They are RGB in 0..255, shape [55, 3]. The arcs have different lengths because the eye tells
    more hues apart between red and yellow than between green and cyan.

    Reference:
        Baker et al., A Database and Evaluation Methodology for Optical Flow, IJCV 2011;
        ``colorcode.cpp`` of the Middlebury flow code.
    """
    colours = []
    colour = [255, 0, 0]
    for length, channel, rises in _ARCS:
        for step in range(length):
            ramp = 255 * step // length
            colour[channel] = ramp if rises else 255 - ramp
            colours.append(tuple(colour))
        colour[channel] = 255 if rises else 0
    return np.array(colours, dtype=np.uint8)


def in_reference_pixels(flow: Tensor) -> Tensor:
    """Scale a flow [..., H, W] from pixels of its own grid to those of a grid of 128x128.

    Errors and colour scales are in the latter, so that runs of different sizes compare.
    """
    return flow.float() * (REFERENCE_SIDE / flow.shape[-1])


def flow_to_rgb(flow: npt.NDArray[np.floating], *, max_magnitude: float) -> npt.NDArray[np.uint8]:
    """Colour a flow by direction (hue) and length (saturation).

    Args:
        flow: Motion in pixels, channel 0 to the right, channel 1 down, shape [2, H, W].
        max_magnitude: Length in pixels that is drawn in the full colour. There is no default:
            two flows can only be compared by eye on the same scale.

    Returns:
        The picture as RGB in 0..255, shape [H, W, 3].

    Raises:
        ValueError: If the flow has another shape, is not finite, or the scale is not above zero.

    Reference:
        Baker et al., IJCV 2011; ``colorcode.cpp`` of the Middlebury flow code.
    """
    if flow.ndim != 3 or flow.shape[0] != 2:
        raise ValueError(f"A flow has the shape [2, H, W]; this one has {list(flow.shape)}.")
    if not max_magnitude > 0:
        raise ValueError(f"max_magnitude is a length above 0 px; got {max_magnitude}.")
    if not np.isfinite(flow).all():
        raise ValueError("The flow holds NaN or infinite values and cannot be drawn.")
    u, v = flow.astype(np.float64) / max_magnitude
    radius = np.hypot(u, v)[..., None]
    wheel = colour_wheel().astype(np.float64) / 255
    position = (np.arctan2(-v, -u) / np.pi + 1) / 2 * (len(wheel) - 1)
    below = np.floor(position).astype(np.int64)
    part = (position - below)[..., None]
    hue = (1 - part) * wheel[below] + part * wheel[(below + 1) % len(wheel)]  # (H, W, 3)
    colour = np.where(radius <= 1, 1 - radius * (1 - hue), _BEYOND * hue)
    rgb: npt.NDArray[np.uint8] = np.floor(255 * colour).astype(np.uint8)
    return rgb


def draw_wheel(axes: Axes, max_magnitude: float) -> None:
    """Draw the wheel, in which a point shows the motion from the centre, with rings of its length.

    Args:
        axes: Where, square.
        max_magnitude: Length in pixels of a 128x128 grid that has the full colour.
    """
    axes.imshow(wheel(256), extent=(-1, 1, 1, -1), interpolation="lanczos")
    for share in (0.5, 1.0):
        axes.add_patch(Circle((0, 0), share, fill=False, color="0.3", linewidth=0.6))
        at = share * np.sqrt(0.5)
        said = f"{share * max_magnitude:g} px"
        axes.annotate(said, (at, at), fontsize=6.5, ha="center", va="center", bbox=_SAID)
    axes.axhline(0, color="0.3", linewidth=0.4)
    axes.axvline(0, color="0.3", linewidth=0.4)
    axes.set(xlim=(-1.04, 1.04), ylim=(1.04, -1.04), xticks=[], yticks=[])
    axes.set_title("up", fontsize=7.5, pad=2)
    axes.set_xlabel("down\nlonger: darkened", fontsize=7.5, labelpad=2)
    axes.set_ylabel("left", fontsize=7.5, labelpad=2)
    axes.annotate(
        "right", (1.08, 0), fontsize=7.5, rotation=270, va="center", annotation_clip=False
    )
    for spine in axes.spines.values():
        spine.set_visible(False)


def wheel(size: int) -> npt.NDArray[np.uint8]:
    """Return the wheel on white, RGB [size, size, 3]: a point shows the motion from the centre."""
    axis = (np.arange(size) + 0.5) / size * 2 - 1
    flow = np.stack(np.meshgrid(axis, axis))  # (2, size, size), x right and y down
    outside = np.hypot(*flow) > 1
    rgb = flow_to_rgb(flow, max_magnitude=1.0)
    rgb[outside] = 255
    return rgb
