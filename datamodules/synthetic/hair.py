"""Hair of the head: its shape, its strands, what it hides."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from datamodules.synthetic.geometry import Canvas, FaceGeometry, Floats, soften
from datamodules.synthetic.painting import Region, blend, column, darken, spline
from datamodules.synthetic.skin import noise


@dataclass(frozen=True)
class HairStyle:
    """Numbers of one style, in face units.

    Args:
        volume: How far the hair stands off the skull at the top.
        sides: How far it stands off beside the temples.
        hairline: Hairline at (middle, beside the forehead, temple) as an offset of `forehead`.
        ends: Height (y) where the hair beside the face ends.
        curl: Amplitude of the waves of the strands.
        parting: Where the hair falls apart, x; None combs it back.
        length: Length of a strand.
    """

    volume: float
    sides: float
    hairline: tuple[float, float, float]
    ends: float
    curl: float
    parting: float | None
    length: float


STYLES: dict[str, HairStyle] = {
    "short": HairStyle(0.20, 0.07, (0.0, 0.02, 0.10), 0.05, 0.02, 0.35, 0.30),
    "parted": HairStyle(0.26, 0.08, (0.04, 0.05, 0.10), 0.12, 0.03, -0.38, 0.45),
    "fringe": HairStyle(0.20, 0.20, (0.34, 0.36, 0.30), 1.55, 0.02, 0.0, 0.60),
    "bob": HairStyle(0.22, 0.24, (0.02, 0.10, 0.28), 1.50, 0.05, 0.12, 0.70),
    "tied": HairStyle(0.10, 0.04, (0.0, 0.03, 0.12), 0.00, 0.01, None, 0.40),
    "curly": HairStyle(0.36, 0.26, (0.03, 0.05, 0.14), 0.55, 0.10, None, 0.16),
    "cropped": HairStyle(0.06, 0.03, (0.0, 0.02, 0.09), 0.05, 0.01, None, 0.07),
    "receding": HairStyle(0.05, 0.06, (-0.26, -0.30, 0.02), 0.10, 0.02, None, 0.16),
}


def hair_mask(geometry: FaceGeometry, canvas: Canvas) -> Floats:
    """Where hair covers skull, forehead and the sides of the face, [n, n] in [0, 1]."""
    who = geometry.identity
    style = STYLES[who.hair_style]
    top = -who.forehead
    middle, beside, temple = (top + offset for offset in style.hairline)
    edge = who.cheek_width
    long = style.ends > 0.8
    inner_x = edge * (0.86 if long else 0.985)
    inner = [
        (0.0, middle),
        (0.38, beside - 0.01),
        (0.66, temple),
        (edge * 0.84, temple + 0.26),
        (inner_x, -0.22 if not long else -0.05),
        (inner_x, min(style.ends, 0.45)),
    ]
    outer = [
        (edge + style.sides, -0.25),
        (edge * 0.98 + style.sides, -0.75),
        (edge * 0.78 + style.volume * 0.7, -1.25),
        (edge * 0.42 + style.volume * 0.4, -1.50 - style.volume * 0.75),
        (0.0, -1.56 - style.volume),
    ]
    if not long:
        # Short hair stays in front of the ear, curls hang over it.
        side = edge + (style.sides * 0.6 if style.ends > 0.3 else 0.004)
        outer.insert(0, (side, min(style.ends, 0.45) - 0.02))
    else:
        inner += [(0.80, 0.95), (0.70, style.ends - 0.08)]
        outer = [
            (0.80, style.ends + 0.08),
            (edge + style.sides * 0.35, style.ends - 0.05),
            (edge + style.sides * 0.95, 0.95),
            (edge + style.sides * 1.10, 0.35),
            *outer,
        ]
    right = np.array(inner + outer)
    half = spline(right, 160)
    shape = np.concatenate([half, half[::-1] * (-1, 1)]).astype(np.float32)
    region = Region(canvas, shape, margin=0.1)
    mask = np.zeros((canvas.pixels, canvas.pixels), dtype=np.float32)
    mask[region.slices] = region.polygon(shape)
    rng = np.random.default_rng([who.seed, 0x4A])
    ragged = noise(rng, canvas.pixels, 0.07 * canvas.scale)
    # A hairline is not cut with scissors: thin it out along its edge.
    blur = soften(mask, 0.042 * canvas.scale)
    wild = 0.22 if who.hair_style == "curly" else 0.05
    strands = _strands(style, canvas, rng, 5000, max(1, round(0.010 * canvas.scale)))
    strands = soften(strands, 0.5)
    border = 4 * blur * (1 - blur)
    rim = blur - 0.5 + (wild * ragged + 0.13 * strands) * border
    return np.asarray(np.clip(rim * 4 + 0.5, 0, 1), dtype=np.float32)


def paint_hair(
    albedo: Floats, relief: Floats, geometry: FaceGeometry, canvas: Canvas, mask: Floats
) -> None:
    """Lays the hair over albedo and relief in place.

    Args:
        albedo: [3, n, n] in [0, 1].
        relief: [n, n] heights in face units.
        geometry: The face.
        canvas: The raster.
        mask: From `hair_mask`.
    """
    who = geometry.identity
    style = STYLES[who.hair_style]
    rng = np.random.default_rng([who.seed, 0x4B])
    shade = _strand_shade(style, canvas, rng)
    x, y = canvas.grid
    rho = geometry.relative_radius(x, y)
    shadow = soften(mask, 0.055 * canvas.scale)
    darken(albedo, shadow, 0.42)
    near = soften(mask, 0.010 * canvas.scale)
    # Off the face there is hair under hair, not skin.
    off = np.clip((rho - 1.0) * canvas.scale, 0, 1) * np.clip(20 * near, 0, 1)
    blend(albedo, np.array(who.hair) * 0.6, off.astype(np.float32))
    # A band of sheen round the crown, dark roots at the hairline and below.
    sheen = np.exp(-(((rho - 0.93) / 0.10) ** 2)) * np.clip(-y, 0, 1)
    tone = 0.80 + 0.34 * shade + 0.38 * sheen
    colour = column(who.hair) * np.clip(tone, 0.3, 1.7)
    cover = mask * (0.80 if who.hair_style == "cropped" else 1.0)
    blend(albedo, np.clip(colour, 0, 1), cover)
    dome = 0.9 * np.sqrt(np.clip(1 - (rho / 1.28) ** 2.4, 0, None))
    volume = dome + 0.014 * shade
    relief += mask * (volume.astype(np.float32) - relief)


def _strand_shade(style: HairStyle, canvas: Canvas, rng: np.random.Generator) -> Floats:
    """Brightness of locks and of the single hairs in them, [n, n], about -1 to 1."""
    scale = canvas.scale
    if style.curl > 0.08:
        curls = noise(rng, canvas.pixels, 0.09 * scale) + noise(rng, canvas.pixels, 0.045 * scale)
        return 0.3 * curls + 0.15 * noise(rng, canvas.pixels, 0.02 * scale)
    locks = _strands(style, canvas, rng, 900, max(2, round(0.035 * scale)))
    hairs = _strands(style, canvas, rng, 9000, max(1, round(0.007 * scale)))
    locks = soften(locks, 0.012 * scale)
    hairs = soften(hairs, 0.45)
    return np.asarray(0.5 * locks + 0.55 * hairs, dtype=np.float32)


def _strands(
    style: HairStyle, canvas: Canvas, rng: np.random.Generator, count: int, width: int
) -> Floats:
    """Combed lines of random brightness over the whole canvas."""
    shade = np.zeros((canvas.pixels, canvas.pixels), dtype=np.float32)
    roots = np.stack([rng.uniform(-1.5, 1.5, count), rng.uniform(-2.0, 1.7, count)], -1)
    steps = 5
    phase = rng.uniform(0, 2 * np.pi, count)
    paths = [roots]
    for step in range(steps):
        direction = _combed(paths[-1], style)
        direction /= np.maximum(np.linalg.norm(direction, axis=1, keepdims=True), 1e-6)
        wave = style.curl * np.sin(phase + 2.2 * step) * 6
        turn = np.stack([-direction[:, 1], direction[:, 0]], -1) * wave[:, None]
        unit = direction + turn
        unit /= np.linalg.norm(unit, axis=1, keepdims=True)
        paths.append(paths[-1] + unit * (style.length / steps))
    curves = np.stack(paths, 1).astype(np.float32)  # (count, steps + 1, 2)
    fixed = np.round(canvas.to_pixels(curves) * 16).astype(np.int32)
    for curve, value in zip(fixed, rng.normal(0.0, 0.6, count), strict=True):
        cv2.polylines(shade, [curve], False, float(value), width, cv2.LINE_8, 4)
    return shade


def _combed(points: Floats, style: HairStyle) -> Floats:
    """Direction in which the hair lies, [N, 2]."""
    x, y = points[:, 0], points[:, 1]
    if style.parting is None:
        # Combed back: away from the face over the skull.
        return np.stack([x * 0.9, np.minimum(y, 0) - 0.6], -1).astype(np.float32)
    side = np.where(x < style.parting, -1.0, 1.0)
    above = np.clip((-0.55 - y) / 0.5, 0, 1)
    return np.stack([side * (0.15 + above), 0.25 + 1.1 * (1 - above)], -1).astype(np.float32)
