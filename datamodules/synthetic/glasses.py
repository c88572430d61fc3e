"""Spectacles."""

from __future__ import annotations

import numpy as np

from datamodules.synthetic.geometry import Canvas, FaceGeometry, Floats
from datamodules.synthetic.painting import Region, blend, darken, shifted, spline


def paint_glasses(albedo: Floats, canvas: Canvas, geometry: FaceGeometry) -> None:
    """Paints thin frames in place; they do not move with the skin.

    Args:
        albedo: [3, n, n] in [0, 1].
        canvas: Its raster.
        geometry: The face.
    """
    who = geometry.identity
    power = 2.4 if who.glasses == "round" else 4.5
    angle = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    c, s = np.cos(angle), np.sin(angle)
    rim = np.stack(
        [
            0.31 * np.sign(c) * np.abs(c) ** (2 / power),
            0.235 * np.sign(s) * np.abs(s) ** (2 / power),
        ],
        -1,
    )
    colour = (0.10, 0.09, 0.09)
    inner = who.eye_spacing - 0.31
    for sign in (-1.0, 1.0):
        lens = (rim + np.array((who.eye_spacing, 0.045))) * (sign, 1)
        temple = np.array([(who.eye_spacing + 0.30, -0.03), (who.cheek_width * 0.98, -0.02)]) * (
            sign,
            1,
        )
        region = Region(canvas, np.concatenate([lens, temple]).astype(np.float32), margin=0.1)
        patch = albedo[region.slices]
        darken(patch, region.line(shifted(lens, 0.03), 0.03, blur=0.02, closed=True), 0.22)
        blend(patch, colour, region.line(lens, 0.024, closed=True) * 0.95)
        blend(patch, colour, region.line(temple, 0.028) * 0.95)
    bridge = spline([(-inner, 0.01), (0.0, -0.035), (inner, 0.01)], 20)
    region = Region(canvas, bridge, margin=0.06)
    blend(albedo[region.slices], colour, region.line(bridge, 0.026) * 0.95)
