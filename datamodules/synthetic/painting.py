"""Antialiased, soft brushes on small regions of a picture."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from datamodules.synthetic.geometry import Canvas, Floats, soften
from datamodules.synthetic.identity import Colour

Bytes = npt.NDArray[np.uint8]
_SHIFT = 4
_ONE = 1 << _SHIFT


class Region:
    """A small rectangle of a canvas in which masks are drawn; keeps brushes cheap.

    Args:
        canvas: The raster.
        points: What the rectangle must hold, [N, 2] face units.
        margin: Added on every side, in face units.
    """

    def __init__(self, canvas: Canvas, points: Floats, margin: float) -> None:
        low = np.floor(canvas.to_pixels(points.min(axis=0) - margin)).astype(int)
        high = np.ceil(canvas.to_pixels(points.max(axis=0) + margin)).astype(int) + 1
        low, high = np.clip(low, 0, canvas.pixels - 1), np.clip(high, 1, canvas.pixels)
        self._canvas = canvas
        self._origin = low.astype(np.float32)
        self.slices = (..., slice(low[1], high[1]), slice(low[0], high[0]))
        self.shape = (int(high[1] - low[1]), int(high[0] - low[0]))

    @property
    def grid(self) -> tuple[Floats, Floats]:
        """Coordinates x, y of the rectangle's pixels in face units."""
        x, y = self._canvas.grid
        return x[self.slices], y[self.slices]

    def polygon(self, points: Floats, blur: float = 0.0) -> Floats:
        """Mask of a filled polygon, [h, w] in [0, 1]; `blur` is a deviation in face units."""
        mask = np.zeros(self.shape, dtype=np.uint8)
        cv2.fillPoly(mask, [self._fixed(points)], 255, cv2.LINE_AA, _SHIFT)
        return self._finish(mask, blur)

    def line(self, points: Floats, width: float, blur: float = 0.0, closed: bool = False) -> Floats:
        """Mask of a line; its `width` in face units may be thinner than a pixel (then fainter)."""
        mask = np.zeros(self.shape, dtype=np.uint8)
        pixels = width * self._canvas.scale
        level = 255 * min(1.0, pixels)
        cv2.polylines(
            mask,
            [self._fixed(points)],
            closed,
            level,
            max(1, round(pixels)),
            cv2.LINE_AA,
            _SHIFT,
        )
        return self._finish(mask, blur)

    def disc(self, centre: Sequence[float], radius: float, blur: float = 0.0) -> Floats:
        """Mask of a disc."""
        mask = np.zeros(self.shape, dtype=np.uint8)
        middle = self._fixed(np.array([centre], dtype=np.float32))[0]
        fixed_radius = max(1, round(radius * self._canvas.scale * _ONE))
        cv2.circle(mask, middle.tolist(), fixed_radius, 255, -1, cv2.LINE_AA, _SHIFT)
        return self._finish(mask, blur)

    def _fixed(self, points: Floats) -> npt.NDArray[np.int32]:
        pixels = self._canvas.to_pixels(points) - self._origin
        return np.asarray(np.round(pixels * _ONE), dtype=np.int32)

    def _finish(self, mask: Bytes, blur: float) -> Floats:
        soft: Floats = mask.astype(np.float32) * np.float32(1 / 255)
        sigma = blur * self._canvas.scale
        if sigma > 0.3:
            return soften(soft, sigma)
        return soft


def column(colour: Colour | Floats) -> Floats:
    """An RGB as [3, 1, 1], to be used with planes [3, h, w]; planes stay what they are."""
    values = np.asarray(colour, dtype=np.float32)
    return values[:, None, None] if values.ndim == 1 else values


def blend(patch: Floats, colour: Colour | Floats, mask: Floats) -> None:
    """Lays a colour over a picture in place.

    Args:
        patch: [3, h, w] in [0, 1]; planes, as arithmetic on them is several times faster.
        colour: One RGB, or a picture of the patch's shape.
        mask: [h, w] opacity.
    """
    patch += mask * (column(colour) - patch)


def darken(patch: Floats, mask: Floats, amount: float) -> None:
    """Multiplies a picture by 1 - amount * mask, in place; shadows on skin stay warm."""
    patch *= 1.0 - mask * column((0.85 * amount, amount, 1.05 * amount))


def shifted(points: Floats, down: float) -> Floats:
    """A curve moved down by so many face units."""
    return points + np.array((0.0, down), dtype=np.float32)


def spline(points: npt.ArrayLike, samples: int, closed: bool = False) -> Floats:
    """Catmull-Rom curve through control points.

    Args:
        points: [N, 2].
        samples: Number of points returned.
        closed: Whether the last point connects to the first.

    Returns:
        [samples, 2].
    """
    control = np.asarray(points, dtype=np.float64)
    count = len(control)
    if closed:
        padded = np.concatenate([control[-1:], control, control[:2]])
        position = np.linspace(0, count, samples, endpoint=False)
    else:
        first, last = 2 * control[0] - control[1], 2 * control[-1] - control[-2]
        padded = np.concatenate([first[None], control, last[None]])
        position = np.linspace(0, count - 1, samples)
    index = np.minimum(position.astype(int), count - 1 if closed else count - 2)
    t = (position - index)[:, None]
    p0, p1, p2, p3 = (padded[index + k] for k in range(4))
    curve = 0.5 * (
        2 * p1
        + (p2 - p0) * t
        + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2
        + (3 * p1 - p0 - 3 * p2 + p3) * t**3
    )
    return np.asarray(curve, dtype=np.float32)
