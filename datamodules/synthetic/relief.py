"""Heights of the face: what light falls on, what turns in depth, and the lines of expressions."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from datamodules.synthetic.action_units import side_strength
from datamodules.synthetic.geometry import Canvas, FaceGeometry, Floats, soften
from datamodules.synthetic.painting import Region, spline


def _bump(
    grid: tuple[Floats, Floats], centre: tuple[float, float], spread: tuple[float, float]
) -> Floats:
    """A Gaussian on both halves of the picture."""
    x, y = grid
    vertical = np.exp(-0.5 * ((y - centre[1]) / spread[1]) ** 2)
    if centre[0] == 0:
        return np.asarray(np.exp(-0.5 * (x / spread[0]) ** 2) * vertical, dtype=np.float32)
    across = np.exp(-0.5 * ((np.abs(x) - centre[0]) / spread[0]) ** 2)
    return np.asarray(across * vertical, dtype=np.float32)


def _nose(geometry: FaceGeometry, grid: tuple[Floats, Floats]) -> Floats:
    """Bridge, tip and wings of the nose."""
    who = geometry.identity
    x, y = grid
    base = who.nose_length
    along = np.clip((y + 0.10) / (base - 0.02), 0, 1)
    # The bridge rises to the tip and falls off quickly underneath it.
    profile = along**1.35 * (0.5 - 0.5 * np.tanh((y - base + 0.065 + 1.3 * x**2) / 0.084))
    width = 0.085 + 0.075 * along**2
    ridge = who.nose_height * profile * np.exp(-0.5 * (x / width) ** 2)
    tip = 0.12 * _bump(grid, (0.0, base - 0.15), (0.115, 0.095))
    wings = 0.115 * _bump(grid, (who.nose_width * 0.70, base - 0.095), (0.08, 0.075))
    return np.asarray(ridge + tip + wings, dtype=np.float32)


def face_relief(geometry: FaceGeometry, canvas: Canvas) -> Floats:
    """Height of the neutral skin without lips, eyes and hair, [n, n] in face units."""
    who = geometry.identity
    grid = canvas.grid
    rho = geometry.relative_radius(*grid)
    mouth, chin = who.mouth_height, who.face_length
    z = 1.0 * np.sqrt(np.clip(1 - rho**2.6, 0, None))
    z += _nose(geometry, grid)
    z += (
        0.070
        * _bump(grid, (0.40, -who.brow_height + 0.03), (0.26, 0.10))
        * (1.2 - 0.6 * who.femininity)
    )
    z -= 0.115 * _bump(grid, (who.eye_spacing - 0.03, -0.03), (0.20, 0.125))
    z += 0.055 * _bump(grid, (who.eye_spacing, 0.0), (0.15, 0.085))
    z -= 0.055 * _bump(grid, (0.17, 0.0), (0.07, 0.10))
    z += 0.070 * _bump(grid, (0.60, 0.38), (0.22, 0.17))
    z -= 0.040 * _bump(grid, (0.62, 0.95), (0.16, 0.25)) * (1.2 - who.femininity)
    z += 0.085 * _bump(grid, (0.0, mouth), (0.33, 0.24))
    z -= 0.022 * _bump(grid, (0.0, mouth - 0.20), (0.035, 0.09))
    z -= 0.060 * _bump(grid, (0.0, mouth + 0.245), (0.21, 0.06))
    z += 0.085 * _bump(grid, (0.0, chin - 0.16), (0.19, 0.13))
    z += _lines_of_age(geometry, canvas)
    return np.asarray(z, dtype=np.float32)


def head_depth(geometry: FaceGeometry, canvas: Canvas) -> Floats:
    """Smooth depth of head and hair for turning it.

    Its slopes are kept gentle so that the turned head never folds over itself.

    Args:
        geometry: The face.
        canvas: The raster.

    Returns:
        [n, n, 3]: depth in face units, its slope to the right, its slope down.
    """
    grid = canvas.grid
    rho = geometry.relative_radius(*grid)
    z = 0.95 * (1 - np.minimum(rho, 1.25) ** 2.2)
    z += 0.9 * soften(_nose(geometry, grid), 0.09 * canvas.scale)
    z += 0.06 * _bump(grid, (0.0, geometry.identity.mouth_height), (0.3, 0.25))
    smooth = soften(z.astype(np.float32), 0.05 * canvas.scale)
    down, across = np.gradient(smooth, 1 / canvas.scale)
    return np.stack([smooth, across, down], -1).astype(np.float32)


def _furrow(
    canvas: Canvas, curve: Floats, width: float, depth: float, mirrored: bool = True
) -> Floats:
    """A groove of the skin along a curve with a soft bulge on its sides, [n, n]."""
    curves = [curve, curve * np.array((-1, 1), dtype=np.float32)] if mirrored else [curve]
    height = np.zeros((canvas.pixels, canvas.pixels), dtype=np.float32)
    for points in curves:
        region = Region(canvas, points, margin=8 * width)
        line = region.line(points, width=1.2 * width)
        # Both ends run out.
        groove = soften(line, max(0.5, width * canvas.scale))
        bulge = soften(line, 2.6 * width * canvas.scale)
        height[region.slices] += depth * (1.6 * bulge - 1.9 * groove)
    return height


def _nasolabial(geometry: FaceGeometry) -> Floats:
    """The fold from the wing of the nose past the corner of the mouth."""
    wing_x, wing_y = geometry.anchors["nose_wing"]
    corner_x, corner_y = geometry.anchors["mouth_corner"]
    return spline(
        [
            (wing_x + 0.035, wing_y - 0.03),
            (wing_x + 0.10, wing_y + 0.10),
            (corner_x + 0.085, corner_y - 0.14),
            (corner_x + 0.10, corner_y + 0.03),
        ],
        20,
    )


def _lines_of_age(geometry: FaceGeometry, canvas: Canvas) -> Floats:
    """The lines that stay on a resting face, deeper with age."""
    who = geometry.identity
    amount = max(0.0, who.lines - 0.3)
    eye = who.eye_spacing
    under_eye = spline([(eye - 0.19, 0.10), (eye, 0.175), (eye + 0.18, 0.12)], 16)
    height = _furrow(canvas, _nasolabial(geometry), 0.026, 0.012 + 0.035 * amount)
    height += _furrow(canvas, under_eye, 0.022, 0.006 + 0.022 * amount)
    for row in range(3):
        y = -who.brow_height - 0.19 - 0.12 * row
        line = spline([(-0.42, y + 0.03), (-0.15, y), (0.15, y + 0.006), (0.42, y + 0.03)], 20)
        height += _furrow(canvas, line, 0.016, 0.010 * amount, mirrored=False)
    return height


@dataclass(frozen=True)
class ExpressionRelief:
    """Folds and bulges that action units raise on one face.

    Args:
        maps: Height [n, n] of each unit at full intensity on both halves.
        right: Share of the right half of the picture, [1, n].
    """

    maps: dict[int, Floats]
    right: Floats

    def add_to(self, height: Floats, values: Floats) -> Floats:
        """A copy of `height` [n, n] with the folds of `action_units.intensities` added."""
        total: Floats = height.copy()
        for unit, relief in self.maps.items():
            left, right = side_strength(values, unit, 0), side_strength(values, unit, 1)
            if left == right:
                if left > 0:
                    cv2.scaleAdd(relief, left, total, total)
            else:
                total = total + relief * (left + (right - left) * self.right)
        return total


def expression_relief(geometry: FaceGeometry, canvas: Canvas, bare: Floats) -> ExpressionRelief:
    """Draws the folds of every unit once for a face.

    Args:
        geometry: The face.
        canvas: The raster.
        bare: [n, n] 1 on skin that no hair covers.

    Returns:
        The folds.
    """
    who = geometry.identity
    grid = canvas.grid
    depth = 0.55 + 0.6 * who.lines
    brow = -who.brow_height
    eye, mouth, base = who.eye_spacing, who.mouth_height, who.nose_length
    outer = eye + who.eye_width
    maps: dict[int, Floats] = {}

    def furrow(points: list[tuple[float, float]], width: float, amount: float) -> Floats:
        return _furrow(canvas, spline(points, 18), width, amount * depth)

    maps[1] = np.zeros_like(grid[0])
    for y in (brow - 0.17, brow - 0.29, brow - 0.41):
        maps[1] += furrow([(0.0, y), (0.16, y - 0.012), (0.34, y + 0.015)], 0.016, 0.014)
    maps[2] = np.zeros_like(grid[0])
    for y in (brow - 0.18, brow - 0.30):
        maps[2] += furrow([(0.36, y + 0.01), (0.52, y - 0.02), (0.70, y + 0.02)], 0.016, 0.013)
    maps[4] = (
        furrow([(0.075, brow - 0.13), (0.065, brow), (0.075, brow + 0.10)], 0.018, 0.030)
        + 0.035 * _bump(grid, (0.20, brow + 0.02), (0.12, 0.07))
        - 0.010 * _bump(grid, (0.0, brow), (0.04, 0.09))
    )
    maps[6] = (
        0.060 * _bump(grid, (0.52, 0.34), (0.20, 0.12))
        + furrow([(eye - 0.15, 0.115), (eye + 0.02, 0.165), (eye + 0.19, 0.115)], 0.018, 0.018)
        + sum(
            furrow([(outer + 0.05, y0), (outer + 0.13, y1)], 0.012, 0.014)
            for y0, y1 in ((-0.03, -0.08), (0.02, 0.015), (0.06, 0.10))
        )
    )
    maps[7] = 0.022 * _bump(grid, (eye, 0.105), (0.16, 0.035))
    maps[9] = (
        sum(
            furrow([(0.02, y), (0.09, y + 0.015), (0.15, y + 0.07)], 0.014, 0.018)
            for y in (-0.06, 0.03, 0.12)
        )
        + _furrow(canvas, _nasolabial(geometry)[:12], 0.026, 0.030 * depth)
        + 0.035 * _bump(grid, (0.30, base - 0.16), (0.10, 0.10))
    )
    maps[10] = _furrow(canvas, _nasolabial(geometry)[:15], 0.026, 0.036 * depth)
    maps[12] = _furrow(canvas, _nasolabial(geometry), 0.028, 0.042 * depth) + 0.050 * _bump(
        grid, (0.55, 0.52), (0.19, 0.15)
    )
    corner = geometry.anchors["mouth_corner"]
    x, y = corner
    maps[14] = furrow([(x + 0.05, y - 0.05), (x + 0.07, y), (x + 0.05, y + 0.06)], 0.018, 0.03)
    maps[15] = furrow(
        [(x + 0.03, y + 0.02), (x + 0.07, y + 0.12), (x + 0.06, y + 0.24)], 0.022, 0.028
    )
    maps[17] = 0.030 * _bump(grid, (0.0, who.face_length - 0.27), (0.16, 0.10)) + _furrow(
        canvas,
        spline([(-0.15, mouth + 0.27), (0.0, mouth + 0.24), (0.15, mouth + 0.27)], 14),
        0.020,
        0.026 * depth,
        mirrored=False,
    )
    maps[20] = furrow(
        [(x + 0.10, y - 0.08), (x + 0.13, y + 0.02), (x + 0.10, y + 0.14)], 0.02, 0.02
    )
    soft = 1.0 / (1.0 + np.exp(-grid[0][:1] / 0.05))
    return ExpressionRelief(
        {unit: np.asarray(relief * bare, dtype=np.float32) for unit, relief in maps.items()},
        soft.astype(np.float32),
    )
