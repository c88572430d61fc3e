"""Lips, teeth and tongue, shaped by the action units."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from datamodules.synthetic.action_units import MotionBasis, jaw_drop, side_strength
from datamodules.synthetic.geometry import Canvas, FaceGeometry, Floats
from datamodules.synthetic.painting import Region, blend, column, darken, shifted

_CORNER_UNITS = (12, 14, 15, 20, 23, 27)
_SAMPLES = 33


@dataclass(frozen=True)
class MouthShape:
    """Four curves from the left to the right corner in the picture, each [_SAMPLES, 2].

    Args:
        outer_upper: Upper edge of the upper lip.
        inner_upper: Lower edge of the upper lip.
        inner_lower: Upper edge of the lower lip.
        outer_lower: Lower edge of the lower lip.
    """

    outer_upper: Floats
    inner_upper: Floats
    inner_lower: Floats
    outer_lower: Floats

    @property
    def upper_lip(self) -> Floats:
        """Polygon of the upper lip."""
        return np.concatenate([self.outer_upper, self.inner_upper[::-1]])

    @property
    def lower_lip(self) -> Floats:
        """Polygon of the lower lip."""
        return np.concatenate([self.inner_lower, self.outer_lower[::-1]])

    @property
    def opening(self) -> Floats:
        """Polygon between the lips; empty when they touch."""
        return np.concatenate([self.inner_upper, self.inner_lower[::-1]])

    @property
    def gap(self) -> float:
        """Largest distance between the lips in face units."""
        return float((self.inner_lower[:, 1] - self.inner_upper[:, 1]).max())

    @property
    def outline(self) -> Floats:
        """Polygon of the whole mouth."""
        return np.concatenate([self.outer_upper, self.outer_lower[::-1]])


class Mouth:
    """The mouth of one face.

    Args:
        geometry: The neutral face.
    """

    def __init__(self, geometry: FaceGeometry) -> None:
        self._who = geometry.identity
        self._s = np.linspace(-1, 1, _SAMPLES, dtype=np.float32)
        x = self._s * self._who.mouth_width
        y = self._who.mouth_height + -0.010 * self._s**2 + 0.005 * np.cos(3 * np.pi * self._s)
        self._line = np.stack([x, y], -1).astype(np.float32)
        self._corners = MotionBasis(geometry, x, y, _CORNER_UNITS)

    def shape(self, values: Floats) -> MouthShape:
        """Curves of the lips.

        Args:
            values: `action_units.intensities`.

        Returns:
            The shape, jaw included.
        """
        who, s = self._who, self._s
        right = 1 / (1 + np.exp(-s / 0.15))

        def at(unit: int) -> Floats:
            left_value = side_strength(values, unit, 0)
            return np.asarray(left_value + (side_strength(values, unit, 1) - left_value) * right)

        jaw = jaw_drop(values)
        middle = np.sqrt(np.clip(1 - s**2, 0, 1))
        beside = np.exp(-(((np.abs(s) - 0.45) / 0.42) ** 2)) * middle
        line = self._line + self._corners(values)
        line[:, 1] -= 0.040 * at(17) * middle + 0.3 * jaw * (middle - 1)
        raised = 0.085 * at(10) * beside + 0.045 * at(9) * beside
        raised += middle * (at(25) * (0.022 + 0.015 * at(12)) + 0.030 * at(27))
        parted = at(25) * (0.034 + 0.045 * at(12))
        dropped = middle * (0.050 * at(16) + parted - 0.6 * raised * at(17))
        # The corners hang at 0.3 of the jaw's fall; the middle of the lower lip falls with it.
        dropped += jaw * middle**0.8
        raised, dropped = np.maximum(raised, -dropped), np.maximum(dropped, -raised)

        thin = 0.32 * at(23) + 0.45 * at(24) + 0.14 * at(12) + 0.22 * at(20) + 0.15 * at(27)
        upper = who.upper_lip * (1 - np.clip(thin + 0.20 * at(10), 0, 0.75))
        lower = who.lower_lip * (1 - np.clip(thin - 0.15 * at(17), 0, 0.75))
        bow = 1 - 0.17 * np.exp(-((s / 0.11) ** 2))
        upper_profile = np.clip(1 - np.abs(s) ** 1.7, 0, 1) ** 0.95 * bow
        lower_profile = np.clip(1 - np.abs(s) ** 2.1, 0, 1) ** 0.8

        def moved(dy: Floats) -> Floats:
            return np.stack([line[:, 0], line[:, 1] + dy], -1).astype(np.float32)

        return MouthShape(
            outer_upper=moved(-raised - upper * upper_profile),
            inner_upper=moved(-raised),
            inner_lower=moved(dropped),
            outer_lower=moved(dropped + lower * lower_profile),
        )

    def paint(self, albedo: Floats, relief: Floats, canvas: Canvas, shape: MouthShape) -> None:
        """Paints the mouth in place.

        Args:
            albedo: [3, n, n] in [0, 1].
            relief: [n, n] heights; the lips stand out of it.
            canvas: Their raster.
            shape: From `shape`.
        """
        region = Region(canvas, shape.outline, margin=0.09)
        patch, height = albedo[region.slices], relief[region.slices]
        lips = np.array(self._who.lips, dtype=np.float32)
        upper, lower = region.polygon(shape.upper_lip), region.polygon(shape.lower_lip)
        if shape.gap > 0.008:
            self._paint_inside(patch, region, shape)
        whole = np.maximum(upper, lower)
        soft = region.polygon(shape.upper_lip, blur=0.008)
        blend(patch, lips * 0.92, soft * 0.9)
        blend(patch, lips * 1.04, region.polygon(shape.lower_lip, blur=0.009) * 0.88)
        darken(patch, region.line(shifted(shape.outer_lower, 0.055), 0.05, blur=0.03), 0.10)
        for curve in (shape.inner_upper, shape.inner_lower):
            darken(patch, region.line(curve, 0.014, blur=0.006), 0.62)
        corners = shape.inner_upper[[0, -1]]
        for corner in corners:
            darken(patch, region.disc(corner, 0.022, blur=0.016), 0.5)
        bump = region.polygon(shape.upper_lip, blur=0.018) + region.polygon(
            shape.lower_lip, blur=0.026
        )
        height += 0.055 * bump * (0.35 + 0.65 * whole)

    def _paint_inside(self, patch: Floats, region: Region, shape: MouthShape) -> None:
        """The cavity with tongue and teeth, clipped to the opening."""
        opening = region.polygon(shape.opening, blur=0.004)
        inside = np.empty_like(patch)
        inside[:] = column((0.20, 0.065, 0.07))
        x, y = region.grid
        middle = shape.inner_lower[_SAMPLES // 2]
        half = 0.72 * (shape.inner_upper[-1, 0] - shape.inner_upper[0, 0]) / 2
        centre = (shape.inner_upper[-1, 0] + shape.inner_upper[0, 0]) / 2
        tongue = np.exp(-(((x - centre) / (0.75 * half)) ** 4) - ((y - middle[1]) / 0.11) ** 4)
        blend(inside, (0.60, 0.27, 0.27), tongue.astype(np.float32) * min(1.0, shape.gap / 0.2))
        top = np.interp(x[0], shape.inner_upper[:, 0], shape.inner_upper[:, 1])[None]
        across = np.clip(1 - ((x - centre) / (1.25 * half)) ** 4, 0, 1)
        edge = self._who.mouth_height + 0.040 - 0.05 * ((x - centre) / half) ** 2
        edge = np.maximum(edge, top + 0.03 * across)
        teeth = across / (1 + np.exp((y - edge) * np.float32(1 / 0.006)))
        shade = 0.90 - 0.35 * ((x - centre) / (1.3 * half)) ** 2
        # The upper lip throws a shadow on the teeth.
        shade = shade - 0.35 * np.exp(-np.clip(y - top, 0, None) / 0.018)
        shade = shade - 0.07 * (np.cos((x - centre) * (2 * np.pi / 0.105)) < -0.93)
        ivory = np.clip(shade, 0.1, 1) * column((1.0, 0.97, 0.91))
        blend(inside, ivory, teeth.astype(np.float32))
        blend(patch, inside, opening)


def mouth_landmarks(shape: MouthShape) -> Floats:
    """Landmarks 48 to 67 of 300-W: outer then inner contour, [20, 2] face units."""
    outer = np.array([0, 5, 11, 16, 21, 27, 32])
    inner = np.array([2, 9, 16, 23, 30])
    return np.concatenate(
        [
            shape.outer_upper[outer],
            shape.outer_lower[outer[-2:0:-1]],
            shape.inner_upper[inner],
            shape.inner_lower[inner[-2:0:-1]],
        ]
    )
