"""Everything that does not move with the head: background, neck and shoulders."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from datamodules.synthetic.geometry import Floats, look_up
from datamodules.synthetic.identity import Identity
from datamodules.synthetic.skin import noise

_BACKGROUNDS = (
    (0.62, 0.64, 0.66),
    (0.50, 0.55, 0.60),
    (0.66, 0.62, 0.56),
    (0.46, 0.52, 0.49),
    (0.74, 0.73, 0.71),
)


@dataclass(frozen=True)
class Frame:
    """A picture and where the head is in it.

    Args:
        height: Rows.
        width: Columns.
        unit: Pixels in a face unit (half the width of the face).
        centre: Pixel (x, y) of the point between the eyes of the unturned head.
    """

    height: int
    width: int
    unit: float
    centre: tuple[float, float]

    @classmethod
    def square(cls, size: int) -> Frame:
        """A square picture whose face is half as wide: a loose crop still holds it."""
        return cls(size, size, 0.222 * size, (0.5 * size, 0.46 * size))

    def grid(self, step: float = 1.0) -> Floats:
        """Face units of the picture plane at the centres of cells that fill the picture.

        Args:
            step: Side of a cell in pixels, about; 1 gives the pixels.

        Returns:
            [rows, columns, 2].
        """
        columns, rows = round(self.width / step), round(self.height / step)
        x = (np.arange(columns) + 0.5) * (self.width / columns) - 0.5 - self.centre[0]
        y = (np.arange(rows) + 0.5) * (self.height / rows) - 0.5 - self.centre[1]
        return np.stack(np.meshgrid(x / self.unit, y / self.unit), -1).astype(np.float32)

    def to_pixels(self, points: Floats) -> Floats:
        """Face units [..., 2] to pixels of this picture."""
        return np.asarray(points * self.unit + np.array(self.centre), dtype=np.float32)


def paint_background(seed: int, frame: Frame) -> Floats:
    """A wall out of focus, [h, w, 3] in [0, 1]."""
    rng = np.random.default_rng([seed, 0xBA])
    grid = frame.grid()
    base = np.array(_BACKGROUNDS[int(rng.integers(len(_BACKGROUNDS)))], dtype=np.float32)
    wall = np.empty((*grid.shape[:2], 3), dtype=np.float32)
    slope = rng.uniform(-0.05, 0.05, 2)
    vignette = 0.025 * (grid**2).sum(-1)
    wall[:] = base * (1 + grid @ slope.astype(np.float32) - vignette)[..., None]
    for _ in range(4):
        centre = rng.uniform((-2.2, -2.0), (2.2, 1.5)).astype(np.float32)
        spread = rng.uniform(0.35, 0.9, 2).astype(np.float32)
        blob = np.exp(-((((grid - centre) / spread) ** 2).sum(-1)))
        tint = rng.uniform(-0.14, 0.14) + rng.uniform(-0.03, 0.03, 3)
        wall += blob[..., None] * tint.astype(np.float32)
    side = max(frame.height, frame.width)
    grain = noise(rng, side, 0.02 * side)[: frame.height, : frame.width]
    wall += 0.006 * grain[..., None]
    return np.clip(wall, 0.02, 0.98)


def paint_torso(who: Identity, frame: Frame) -> Floats:
    """Neck and shoulders of the unturned head, [h, w, 4]: premultiplied RGB and opacity."""
    grid = frame.grid()
    x, y = grid[..., 0], grid[..., 1]
    rng = np.random.default_rng([who.seed, 0x70])
    chin = who.face_length
    softness = 0.7 / frame.unit

    def inside(value: Floats) -> Floats:
        return np.asarray(np.clip(value / softness + 0.5, 0, 1), dtype=np.float32)

    half_neck = (0.63 - 0.10 * who.femininity) + 0.30 * np.clip((y - chin - 0.12) / 0.5, 0, 2) ** 2
    neck = inside(half_neck - np.abs(x)) * inside(y - 0.7)
    across = np.clip(1 - (x / np.maximum(half_neck, 1e-3)) ** 2, 0, 1) ** 0.5
    light = 0.48 + 0.36 * across - 0.10 * x
    # The head throws its shadow on the neck.
    light -= 0.40 * np.exp(-((np.clip(y - chin + 0.12 * x**2, 0, None) / 0.24) ** 2))
    muscle = np.exp(-(((np.abs(x) - 0.30 + 0.18 * (y - chin)) / 0.05) ** 2))
    light += 0.05 * muscle
    skin = np.array(who.skin, dtype=np.float32) * (1.0, 0.94, 0.92)
    skin = skin * np.clip(light, 0.1, 1.1)[..., None]

    ax = np.abs(x)
    slope = chin + 0.27 + 0.32 * np.clip(ax - 0.62, 0, None) ** 1.1
    slope += 1.6 * np.clip(ax - 1.45, 0, None) ** 2  # the shoulder rounds off into the arm
    slope = np.where(ax < 0.62, slope + (0.55 - 0.2 * who.femininity) * (0.62 - ax), slope)
    clothes = inside(y - slope)
    fold = noise(rng, max(frame.height, frame.width), 0.3 * frame.unit)
    fold = fold[: frame.height, : frame.width]
    cloth_light = 0.86 - 0.22 * (ax / 1.8) ** 2 - 0.10 * x + 0.03 * fold
    cloth_light -= 0.22 * np.exp(-np.abs(y - slope) / 0.035)
    cloth = np.array(who.clothes, dtype=np.float32) * np.clip(cloth_light, 0.1, 1.2)[..., None]

    alpha = np.maximum(neck, clothes)
    colour = skin + clothes[..., None] * (cloth - skin)
    if who.hair_style in ("bob", "fringe"):
        # Long hair is seen behind the neck.
        behind = inside(1 - np.hypot(x / 0.84, (y - 0.85) / 0.66))
        dark = np.array(who.hair, dtype=np.float32) * 0.45
        colour = np.where(alpha[..., None] > 0, dark + alpha[..., None] * (colour - dark), dark)
        alpha = np.maximum(alpha, behind)
    return np.concatenate([colour * alpha[..., None], alpha[..., None]], -1).astype(np.float32)


def follow_head(torso: Floats, frame: Frame, who: Identity, shift: Floats) -> Floats:
    """Bends the neck so that its top moves with the head while the shoulders stay.

    Args:
        torso: From `paint_torso`.
        frame: The picture.
        who: The person.
        shift: Motion of the top of the neck (x, y) in face units.

    Returns:
        The torso [h, w, 4].
    """
    if float(np.abs(shift).max()) * frame.unit < 0.05:
        return torso
    rows = np.arange(frame.height, dtype=np.float32)
    y = (rows - frame.centre[1]) / frame.unit
    follow = np.clip((who.face_length + 0.55 - y) / 0.75, 0, 1)
    follow = (follow * follow * (3 - 2 * follow) * frame.unit).astype(np.float32)
    where = np.empty((frame.height, frame.width, 2), dtype=np.float32)
    where[..., 0] = np.arange(frame.width) - (follow * shift[0])[:, None]
    where[..., 1] = (rows - follow * shift[1])[:, None]
    return look_up(torso, where)
