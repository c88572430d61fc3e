"""Eyes: lids, eyeball, iris, lashes, shaped by the action units; and spectacles before them."""

from __future__ import annotations

import numpy as np

from datamodules.synthetic.action_units import side_strength
from datamodules.synthetic.geometry import Canvas, FaceGeometry, Floats
from datamodules.synthetic.identity import Identity
from datamodules.synthetic.painting import Region, blend, column, darken, shifted, spline

_SAMPLES = 25
_IRIS_RADIUS = 0.090


def lids(who: Identity, values: Floats, side: int) -> tuple[Floats, Floats]:
    """Edges of the upper and the lower lid.

    Args:
        who: The person.
        values: `action_units.intensities`.
        side: 0 the left, 1 the right half of the picture.

    Returns:
        Two curves [25, 2] in face units from the inner to the outer corner.
    """
    sign = 1.0 if side else -1.0
    a = {unit: side_strength(values, unit, side) for unit in (1, 4, 5, 6, 7, 9, 43)}
    t = np.linspace(0, 1, _SAMPLES)
    x = who.eye_spacing - who.eye_width + 2 * who.eye_width * t
    line = 0.014 * (1 - t) - who.eye_tilt * t
    up = who.eye_opening * 0.62 + 0.052 * a[5] - 0.022 * a[7] - 0.016 * a[4] - 0.014 * a[9]
    low = who.eye_opening * 0.38 - 0.026 * a[7] - 0.024 * a[6] - 0.012 * a[9] + 0.006 * a[5]
    up, low = max(up, 0.035), max(low, 0.012)
    up, low = up * (1 - a[43]) - 0.02 * a[43], low * (1 - a[43]) + 0.02 * a[43]
    upper = line - up * np.sin(np.pi * t**0.88) ** 0.75 - 0.016 * a[1] * (1 - t) * np.sqrt(t)
    lower = line + low * np.sin(np.pi * t**1.15) ** 0.85
    return tuple(np.stack([sign * x, y], -1).astype(np.float32) for y in (upper, lower))  # type: ignore[return-value]


def paint_eye(albedo: Floats, canvas: Canvas, who: Identity, values: Floats, side: int) -> None:
    """Paints one eye in place.

    Args:
        albedo: [3, n, n] in [0, 1].
        canvas: Its raster.
        who: The person.
        values: `action_units.intensities`.
        side: 0 the left, 1 the right half of the picture.
    """
    upper, lower = lids(who, values, side)
    outline = np.concatenate([upper, lower[::-1]])
    region = Region(canvas, outline, margin=0.16)
    patch = albedo[region.slices]
    sign = 1.0 if side else -1.0
    x, _ = region.grid
    _paint_lid(patch, region, who, upper, side_strength(values, 5, side))

    ball = np.empty_like(patch)
    ball[:] = column((0.80, 0.765, 0.745))
    round_off = ((x - sign * who.eye_spacing) / (1.25 * who.eye_width)) ** 2
    darken(ball, np.minimum(round_off, 1).astype(np.float32), 0.42)
    corner = region.disc((sign * (who.eye_spacing - who.eye_width), 0.012), 0.036, blur=0.014)
    blend(ball, (0.76, 0.50, 0.47), corner * 0.8)
    centre = (sign * who.eye_spacing, -0.012)
    iris = np.array(who.iris, dtype=np.float32)
    blend(ball, iris * 0.35, region.disc(centre, _IRIS_RADIUS, blur=0.005))
    blend(ball, iris, region.disc(centre, 0.80 * _IRIS_RADIUS, blur=0.010))
    glow = region.disc((centre[0], centre[1] + 0.032), 0.45 * _IRIS_RADIUS, blur=0.022)
    blend(ball, np.minimum(iris * 1.45, 1), glow * 0.55)
    blend(ball, (0.03, 0.03, 0.03), region.disc(centre, 0.42 * _IRIS_RADIUS, blur=0.004))
    # The upper lid and its lashes throw a shadow on the ball.
    darken(ball, region.line(upper, 0.035, blur=0.018), 0.75)
    glint = (centre[0] - 0.021, centre[1] - 0.036)
    blend(ball, (1.0, 1.0, 1.0), region.disc(glint, 0.016, blur=0.003) * 0.95)
    blend(patch, ball, region.polygon(outline, blur=0.003))

    rim = shifted(lower, 0.006)
    blend(patch, np.array(who.skin) * (0.78, 0.58, 0.56), region.line(rim, 0.011, 0.004) * 0.6)
    darken(patch, region.line(shifted(lower[8:], 0.018), 0.014, 0.007), 0.30)
    lash = _lash_line(upper, who, sign)
    blend(patch, np.array(who.hair) * 0.35, region.polygon(lash, blur=0.003) * 0.93)


def _paint_lid(patch: Floats, region: Region, who: Identity, upper: Floats, raised: float) -> None:
    """The crease of the upper lid and the shade in the socket."""
    crease = upper[2:].copy()
    t = np.linspace(0, 1, len(crease))
    height = who.lid_crease * (1 - 0.45 * raised)
    crease[:, 1] -= height * (0.45 + 0.75 * np.sin(np.pi * t) ** 0.6)
    lid = np.concatenate([upper, crease[::-1]])
    darken(patch, region.polygon(lid, blur=0.015), 0.10 + 0.10 * who.femininity)
    darken(patch, region.line(crease, 0.014, blur=0.007), 0.55)
    darken(patch, region.line(shifted(crease, -0.03), 0.05, blur=0.025), 0.14)


def _lash_line(upper: Floats, who: Identity, sign: float) -> Floats:
    """A wedge along the upper lid, thicker towards the outer corner, [N, 2]."""
    t = np.linspace(0, 1, len(upper))
    thickness = (0.010 + 0.014 * t) * (0.75 + 0.75 * who.femininity)
    top = upper.copy()
    top[:, 1] -= thickness
    tip = upper[-1] + np.array((sign * 0.035, -0.014), dtype=np.float32) * who.femininity
    return np.concatenate([upper, tip[None], top[::-1]]).astype(np.float32)


def eye_landmarks(who: Identity, values: Floats) -> Floats:
    """Landmarks 36 to 47 of 300-W, [12, 2] face units."""
    upper, lower = lids(who, values, 0)
    left = np.stack([upper[-1], upper[16], upper[8], upper[0], lower[8], lower[16]])
    upper, lower = lids(who, values, 1)
    right = np.stack([upper[0], upper[8], upper[16], upper[-1], lower[16], lower[8]])
    return np.concatenate([left, right])


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
