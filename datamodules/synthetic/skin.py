"""Colours of the resting skin: tone, texture, freckles, brows, beard, ears."""

from __future__ import annotations

import cv2
import numpy as np

from datamodules.synthetic.geometry import Canvas, FaceGeometry, Floats, soften
from datamodules.synthetic.painting import Region, blend, column, darken, spline


def noise(rng: np.random.Generator, pixels: int, grain: float) -> Floats:
    """Smooth noise of deviation 1, [pixels, pixels], with blobs of about `grain` pixels."""
    cells = max(2, round(pixels / max(grain, 1.0)))
    coarse = rng.standard_normal((cells, cells)).astype(np.float32)
    field = cv2.resize(coarse, (pixels, pixels), interpolation=cv2.INTER_CUBIC)
    return np.asarray(field / max(float(field.std()), 1e-6), dtype=np.float32)


def paint_skin(geometry: FaceGeometry, canvas: Canvas, relief: Floats) -> Floats:
    """Albedo of the skin with brows and beard, before eyes, mouth and hair.

    Args:
        geometry: The face.
        canvas: The raster.
        relief: `relief.face_relief`; hollows get less light from the room.

    Returns:
        [3, n, n] in [0, 1].
    """
    who = geometry.identity
    rng = np.random.default_rng([who.seed, 0x5C])
    n, s = canvas.pixels, canvas.scale
    x, y = canvas.grid
    albedo = np.empty((3, n, n), dtype=np.float32)
    albedo[:] = column(who.skin)
    # Blotches, then pores: the texture that optical flow follows.
    mottle = (
        0.016 * noise(rng, n, 0.30 * s) + 0.014 * noise(rng, n, 0.10 * s) + 0.018 * noise(rng, n, 2)
    )
    mottle += 0.016 * noise(rng, n, 0.04 * s)
    albedo *= 1 + mottle * column((0.75, 1.0, 1.1))
    _blush(albedo, geometry, x, y)
    if who.freckles > 0:
        _freckles(albedo, geometry, canvas, rng)
    cavity = relief - soften(relief, 0.13 * s)
    rough = soften(cavity, 0.012 * s)
    darken(albedo, np.clip(-2.6 * rough, 0, 0.45), 1.0)
    _nostrils(albedo, geometry, canvas)
    if who.beard != "none":
        _beard(albedo, geometry, canvas, rng)
    _brows(albedo, geometry, canvas, rng)
    return albedo


def paint_ears(albedo: Floats, geometry: FaceGeometry, canvas: Canvas) -> Floats:
    """Paints both ears in place.

    Returns:
        Their mask [n, n].
    """
    who = geometry.identity
    mask = np.zeros(albedo.shape[1:], dtype=np.float32)
    shape = np.array(
        [(-0.06, -0.20), (0.03, -0.27), (0.125, -0.22), (0.14, -0.05), (0.085, 0.12), (0.02, 0.26),
         (-0.06, 0.22)]
    )  # fmt: skip
    for sign in (-1.0, 1.0):
        ear = spline(shape + np.array((who.cheek_width, 0.17)), 60, closed=True) * (sign, 1)
        region = Region(canvas, ear.astype(np.float32), margin=0.08)
        patch = albedo[region.slices]
        silhouette = region.polygon(ear)
        blend(patch, np.array(who.skin) * (0.97, 0.86, 0.84), silhouette)
        helix = spline(shape[1:6] * (0.75, 0.85) + (who.cheek_width - 0.005, 0.17), 30)
        darken(patch, region.line(helix * (sign, 1), 0.03, blur=0.014), 0.40)
        hollow = (sign * (who.cheek_width + 0.03), 0.20)
        darken(patch, region.disc(hollow, 0.05, blur=0.03), 0.5)
        mask[region.slices] = np.maximum(mask[region.slices], silhouette)
    return mask


def _blush(albedo: Floats, geometry: FaceGeometry, x: Floats, y: Floats) -> None:
    """Redder cheeks and nose, darker below the eyes."""
    who = geometry.identity
    cheeks = np.exp(-(((np.abs(x) - 0.55) / 0.26) ** 2) - ((y - 0.5) / 0.24) ** 2)
    tip = np.exp(-((x / 0.16) ** 2) - ((y - who.nose_length + 0.1) / 0.14) ** 2)
    albedo *= 1 - (0.9 * cheeks + 0.7 * tip) * column((0.0, 0.10, 0.085))
    under = np.exp(-(((np.abs(x) - who.eye_spacing) / 0.19) ** 2) - ((y - 0.12) / 0.055) ** 2)
    darken(albedo, under.astype(np.float32), 0.08 + 0.12 * who.lines)


def _freckles(
    albedo: Floats, geometry: FaceGeometry, canvas: Canvas, rng: np.random.Generator
) -> None:
    who = geometry.identity
    for _ in range(int(170 * who.freckles)):
        x = rng.normal(0, 0.42)
        y = rng.normal(0.38, 0.17)
        radius = rng.uniform(0.006, 0.014)
        spot = Region(canvas, np.array([(x, y)], dtype=np.float32), margin=0.06)
        darken(albedo[spot.slices], spot.disc((x, y), radius, 0.005), rng.uniform(0.15, 0.4))


def _nostrils(albedo: Floats, geometry: FaceGeometry, canvas: Canvas) -> None:
    """Nostrils, the crease round the wings and the shadow under the tip."""
    who = geometry.identity
    base, wide = who.nose_length, who.nose_width
    for sign in (-1.0, 1.0):
        hole = spline(
            np.array([(0.09, 0.0), (0.17, -0.035), (0.235, 0.0), (0.16, 0.022)])
            * (wide / 0.27, 1.0)
            * (sign, 1.0)
            + (0, base - 0.012),
            24,
            closed=True,
        )
        wing = spline(
            np.array([(0.97, -0.17), (1.13, -0.08), (1.04, 0.02), (0.80, 0.035)])
            * (wide, 1.0)
            * (sign, 1.0)
            + (0, base - 0.01),
            20,
        )
        region = Region(canvas, np.concatenate([hole, wing]), margin=0.14)
        patch = albedo[region.slices]
        darken(patch, region.line(wing, 0.022, blur=0.014), 0.42)
        darken(patch, region.polygon(hole, blur=0.014), 0.70)
    shadow = np.array(
        [(-1.0, -0.02), (-0.4, 0.03), (0.4, 0.03), (1.0, -0.02), (0.55, 0.10), (-0.55, 0.10)]
    ) * (wide, 1.0) + (0, base)
    region = Region(canvas, shadow.astype(np.float32), margin=0.2)
    darken(albedo[region.slices], region.polygon(shadow, blur=0.040), 0.26)


def _strands(canvas: Canvas, roots: Floats, tips: Floats, weights: Floats, width: float) -> Floats:
    """Fine straight hairs from roots to tips, [n, n] opacity."""
    mask = np.zeros((canvas.pixels, canvas.pixels), dtype=np.uint8)
    start, end = canvas.to_pixels(roots) * 16, canvas.to_pixels(tips) * 16
    thickness = max(1, round(width * canvas.scale))
    for p, q, weight in zip(start.astype(int), end.astype(int), weights, strict=True):
        cv2.line(mask, p.tolist(), q.tolist(), int(weight), thickness, cv2.LINE_AA, 4)
    return mask.astype(np.float32) / 255


def _brows(
    albedo: Floats, geometry: FaceGeometry, canvas: Canvas, rng: np.random.Generator
) -> None:
    """A soft base with hairs on it that lie outwards."""
    who = geometry.identity
    t = np.linspace(0, 1, 40)
    middle = geometry.brow_line(t)
    half = who.brow_thickness * np.interp(t, (0, 0.15, 0.55, 1), (0.24, 0.46, 0.42, 0.08))
    band = np.concatenate(
        [middle - np.stack([0 * t, half], -1), (middle + np.stack([0 * t, half], -1))[::-1]]
    ).astype(np.float32)
    hairs = int(190 * (0.6 + who.brow_thickness / 0.1))
    colour = np.array(who.hair) * 0.55 + np.array(who.skin) * 0.06
    for sign in (-1.0, 1.0):
        flip = np.array((sign, 1), dtype=np.float32)
        region = Region(canvas, band * flip, margin=0.12)
        base = region.polygon(band * flip, blur=0.022)
        blend(albedo[region.slices], colour, base * (0.50 + 0.2 * (1 - who.femininity)))
        along = rng.beta(1.15, 1.1, hairs)
        across = rng.uniform(-0.9, 0.7, hairs) * np.interp(along, t, half)
        roots = geometry.brow_line(along) + np.stack([0 * along, across], -1)
        lean = np.interp(along, (0, 0.3, 1), (-0.95, -0.45, 0.3)) + rng.normal(0, 0.22, hairs)
        length = rng.uniform(0.03, 0.075, hairs) * np.interp(along, (0, 0.3, 1), (0.6, 1, 0.8))
        tips = roots + length[:, None] * np.stack([np.cos(lean), np.sin(lean)], -1)
        mask = _strands(
            canvas,
            (roots * flip).astype(np.float32),
            (tips * flip).astype(np.float32),
            rng.uniform(50, 170, hairs).astype(np.float32),
            0.008,
        )
        blend(albedo, colour * 0.8, mask)


def _beard(
    albedo: Floats, geometry: FaceGeometry, canvas: Canvas, rng: np.random.Generator
) -> None:
    """Stubble, moustache, goatee or a full beard: a shade with hairs that hang down."""
    who = geometry.identity
    x, y = canvas.grid
    mouth, chin = who.mouth_height, who.face_length
    ax = np.abs(x)

    def soft(value: Floats, edge: float) -> Floats:
        return np.asarray(0.5 + 0.5 * np.tanh(0.5 * value / edge), dtype=np.float32)

    # Below a line from the ears past the corners of the mouth to the nose.
    cheek_line = np.interp(ax, (0, 0.30, 0.48, 0.95), (mouth - 0.2, mouth - 0.15, 0.92, 0.40))
    jaw = soft(y - cheek_line.astype(np.float32), 0.04)
    lip = soft(y - (mouth - 0.215), 0.02) * soft(mouth - 0.05 - y, 0.02) * soft(0.46 - ax, 0.03)
    below = soft(y - (mouth + 0.16), 0.03) * soft(0.36 - ax, 0.04)
    bare = np.exp(-((ax / 0.36) ** 4) - (((y - mouth) / 0.13) ** 4))
    area = {
        "stubble": jaw,
        "moustache": lip,
        "goatee": np.maximum(lip, below),
        "full": np.maximum(jaw, lip),
    }[who.beard]
    area = np.clip(area * (1 - 0.8 * bare * (y > mouth - 0.02)), 0, 1).astype(np.float32)
    dense = 0.30 if who.beard == "stubble" else 0.72
    colour = np.array(who.hair) * 0.8 + np.array(who.skin) * 0.05
    blend(albedo, colour, area * dense * (0.9 + 0.1 * noise(rng, canvas.pixels, 2)))
    count = 2600
    roots = np.stack(
        [rng.uniform(-1.0, 1.0, count), rng.uniform(0.4, chin + 0.02, count)], -1
    ).astype(np.float32)
    keep = canvas.sample(area, roots).reshape(-1) > rng.uniform(0.3, 1, count)
    roots = roots[keep]
    lean = roots[:, 0] * 0.35 + rng.normal(0, 0.25, len(roots))
    length = (0.018 if who.beard == "stubble" else 0.07) * rng.uniform(0.6, 1.3, len(roots))
    tips = roots + length[:, None] * np.stack([np.sin(lean), np.cos(lean)], -1)
    weights = rng.uniform(60, 170, len(roots)).astype(np.float32)
    dark = _strands(canvas, roots, tips.astype(np.float32), weights, 0.008)
    blend(albedo, colour * 0.65, dark * (0.5 if who.beard == "stubble" else 0.9))
