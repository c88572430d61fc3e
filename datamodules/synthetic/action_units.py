"""Action units of the Facial Action Coding System: how each one moves the skin.

Reference: P. Ekman, W. Friesen, J. Hager, "Facial Action Coding System", 2002: what each unit
moves. The displacements here are hand-made smooth fields of that direction and order of size.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from datamodules.synthetic.geometry import Canvas, FaceGeometry, Floats, look_up

ACTION_UNITS: dict[int, str] = {
    1: "inner brow raiser",
    2: "outer brow raiser",
    4: "brow lowerer",
    5: "upper lid raiser",
    6: "cheek raiser",
    7: "lid tightener",
    9: "nose wrinkler",
    10: "upper lip raiser",
    12: "lip corner puller",
    14: "dimpler",
    15: "lip corner depressor",
    16: "lower lip depressor",
    17: "chin raiser",
    20: "lip stretcher",
    23: "lip tightener",
    24: "lip pressor",
    25: "lips part",
    26: "jaw drop",
    27: "mouth stretch",
    43: "eyes closed",
}
"""The units that can be drawn, with their names in FACS."""

ActionUnits = Mapping[int | str, float]
"""Intensity in [0, 1] of units: `12` both sides, `"L12"` or `"R12"` that side of the person."""


@dataclass(frozen=True)
class Pull:
    """A muscle: moves the skin round an anchor by a vector that fades as a Gaussian.

    Args:
        anchor: Name in `FaceGeometry.anchors`.
        offset: From the anchor to the centre of the pull, for the right half of the picture.
        spread: Standard deviations in x and y.
        move: Displacement at the centre at full intensity; x > 0 is away from the middle.
    """

    anchor: str
    offset: tuple[float, float]
    spread: tuple[float, float]
    move: tuple[float, float]


PULLS: dict[int, tuple[Pull, ...]] = {
    1: (
        Pull("brow_inner", (0.05, -0.02), (0.20, 0.21), (-0.005, -0.125)),
        Pull("brow_inner", (0.00, -0.28), (0.26, 0.20), (0.0, -0.05)),
    ),
    2: (
        Pull("brow_outer", (-0.06, -0.02), (0.24, 0.21), (0.0, -0.115)),
        Pull("brow_outer", (-0.08, -0.26), (0.24, 0.20), (0.0, -0.04)),
    ),
    4: (
        Pull("brow_inner", (0.04, 0.0), (0.20, 0.19), (-0.065, 0.105)),
        Pull("brow_middle", (0.10, 0.0), (0.24, 0.17), (-0.02, 0.055)),
        Pull("glabella", (0.0, -0.06), (0.12, 0.20), (0.0, 0.03)),
    ),
    5: (Pull("eye", (0.0, -0.16), (0.22, 0.08), (0.0, -0.025)),),
    6: (
        Pull("cheek", (0.03, -0.02), (0.24, 0.17), (0.0, -0.095)),
        Pull("eye_outer", (0.08, 0.08), (0.15, 0.13), (-0.035, -0.035)),
    ),
    7: (Pull("eye", (0.0, 0.13), (0.22, 0.08), (0.0, -0.035)),),
    9: (
        Pull("nose_wing", (-0.04, -0.05), (0.15, 0.16), (0.015, -0.09)),
        Pull("nose_root", (0.03, 0.02), (0.12, 0.14), (-0.02, 0.02)),
        Pull("brow_inner", (0.02, 0.02), (0.18, 0.15), (-0.03, 0.055)),
        Pull("upper_lip", (0.05, -0.03), (0.20, 0.13), (0.0, -0.055)),
        Pull("cheek", (-0.16, 0.0), (0.17, 0.15), (-0.01, -0.045)),
    ),
    10: (
        Pull("upper_lip", (0.09, -0.05), (0.17, 0.15), (0.0, -0.105)),
        Pull("cheek", (-0.12, 0.16), (0.18, 0.16), (0.01, -0.055)),
    ),
    12: (
        Pull("mouth_corner", (0.04, -0.02), (0.26, 0.21), (0.155, -0.195)),
        Pull("cheek", (0.02, 0.16), (0.22, 0.20), (0.02, -0.08)),
    ),
    14: (Pull("mouth_corner", (0.04, 0.0), (0.15, 0.13), (0.075, -0.035)),),
    15: (
        Pull("mouth_corner", (0.02, 0.04), (0.19, 0.17), (0.025, 0.13)),
        Pull("mouth_corner", (0.03, 0.25), (0.18, 0.15), (0.01, 0.05)),
    ),
    16: (Pull("lower_lip", (0.03, 0.03), (0.20, 0.13), (0.01, 0.07)),),
    17: (
        Pull("chin", (0.0, -0.04), (0.30, 0.20), (0.0, -0.11)),
        Pull("lower_lip", (-0.05, 0.02), (0.25, 0.12), (0.0, -0.045)),
    ),
    20: (
        Pull("mouth_corner", (0.04, 0.02), (0.24, 0.21), (0.16, 0.035)),
        Pull("mouth_corner", (0.06, 0.25), (0.22, 0.18), (0.05, 0.04)),
    ),
    23: (Pull("mouth_corner", (-0.02, 0.0), (0.17, 0.15), (-0.055, 0.0)),),
    24: (
        Pull("upper_lip", (0.0, -0.02), (0.26, 0.09), (0.0, 0.035)),
        Pull("lower_lip", (0.0, 0.03), (0.26, 0.11), (0.0, -0.04)),
    ),
    27: (Pull("mouth_corner", (0.03, 0.06), (0.22, 0.28), (-0.085, 0.0)),),
}
"""Units 25 and 43 move lips and lids only; 26 and 27 also drop the jaw (`JAW_DROP`)."""

JAW_DROP: dict[int, float] = {26: 0.14, 27: 0.35}
"""How far the chin goes down at full intensity, in face units."""

_ORDER = tuple(sorted(ACTION_UNITS))
_ROW = {unit: row for row, unit in enumerate(_ORDER)}
_SIDES = {"L": 1, "R": 0}  # a person's left is on the right of the picture


def intensities(action_units: ActionUnits) -> Floats:
    """Intensities as an array.

    Args:
        action_units: Unit to intensity; see `ActionUnits`.

    Returns:
        [len(ACTION_UNITS), 2], the left and the right half of the picture.

    Raises:
        ValueError: A unit that cannot be drawn, or an intensity outside [0, 1].
    """
    values = np.zeros((len(_ORDER), 2), dtype=np.float32)
    for key, value in action_units.items():
        side = _SIDES.get(str(key)[:1])
        digits = str(key) if side is None else str(key)[1:]
        if not digits.isdecimal() or int(digits) not in _ROW:
            known = ", ".join(str(unit) for unit in _ORDER)
            raise ValueError(f"No action unit {key!r} can be drawn; there are {known}.")
        if not 0.0 <= value <= 1.0:
            raise ValueError(f"Action unit {key} has intensity {value}; expected 0 to 1.")
        values[_ROW[int(digits)], slice(None) if side is None else side] = value
    return values


def strength(values: Floats, unit: int) -> float:
    """Mean intensity over both sides of one unit of `intensities`."""
    return float(values[_ROW[unit]].mean())


def side_strength(values: Floats, unit: int, side: int) -> float:
    """Intensity of one unit on the left (0) or the right (1) half of the picture."""
    return float(values[_ROW[unit], side])


class MotionBasis:
    """Displacement of given points of one face by every unit, computed once.

    Args:
        geometry: The neutral face.
        x: First coordinates of the points, any shape.
        y: Second coordinates, same shape.
        units: Only these; all where not given.
    """

    def __init__(
        self, geometry: FaceGeometry, x: Floats, y: Floats, units: Collection[int] | None = None
    ) -> None:
        fields = np.zeros((len(_ORDER), 2, *x.shape, 2), dtype=np.float32)
        for unit in PULLS if units is None else units:
            for pull in PULLS[unit]:
                left, right = _pull_field(pull, geometry, x, y)
                fields[_ROW[unit], 0] += left
                fields[_ROW[unit], 1] += right
        self._shape = (*x.shape, 2)
        self._fields = fields.reshape(len(_ORDER) * 2, -1)

    def __call__(self, values: Floats) -> Floats:
        """Displacement [..., 2] in face units for `intensities`, without the jaw's."""
        flat = values.reshape(-1)
        moved = np.zeros(self._fields.shape[1], dtype=np.float32)
        for row in np.flatnonzero(flat):
            moved += flat[row] * self._fields[row]
        return moved.reshape(self._shape)


def jaw_drop(values: Floats) -> float:
    """How far the chin is down, in face units; stretching the mouth includes dropping the jaw."""
    return max(JAW_DROP[unit] * strength(values, unit) for unit in JAW_DROP)


def invert(displacement: Floats, canvas: Canvas) -> Floats:
    """Backward displacement b of a forward one d: b(p) = d(p - b(p)), by fixed-point iteration.

    Args:
        displacement: [n, n, 2] in face units, smooth.
        canvas: Its raster.

    Returns:
        [n, n, 2]: the skin seen at p comes from p - b(p).
    """
    home = canvas.to_pixels(np.stack(canvas.grid, -1))
    backward = displacement
    for _ in range(12):
        where = home - backward * np.float32(canvas.scale)
        found = look_up(displacement, where)
        # Damped: under a dropped jaw the skin stretches to more than twice its length.
        backward = backward + np.float32(0.45) * (found - backward)
    return np.asarray(backward, dtype=np.float32)


def _pull_field(pull: Pull, geometry: FaceGeometry, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """The pull on the left and on the right half of the picture, each [n, n, 2]."""
    ax, ay = geometry.anchors[pull.anchor]
    sides = []
    for sign in (-1.0, 1.0):
        cx, cy = sign * (ax + pull.offset[0]), ay + pull.offset[1]
        weight = np.exp(
            -0.5 * ((x - cx) / pull.spread[0]) ** 2 - 0.5 * ((y - cy) / pull.spread[1]) ** 2
        )
        # Neither half pulls much beyond the middle: two halves must not add up there.
        weight *= 1.0 / (1.0 + np.exp(-sign * x / 0.05))
        if pull.anchor.startswith("brow"):
            weight *= 1 - 0.8 * on_eyes(geometry, x, y)
        move = np.array((sign * pull.move[0], pull.move[1]), dtype=np.float32)
        sides.append((weight[..., None] * move).astype(np.float32))
    return sides[0], sides[1]


def on_eyes(geometry: FaceGeometry, x: Floats, y: Floats) -> Floats:
    """1 on the eyeballs, which the brows do not pull along."""
    dx = (np.abs(x) - geometry.identity.eye_spacing) / 0.25
    return np.asarray(np.exp(-0.5 * dx**2 - 0.5 * ((y - 0.02) / 0.10) ** 2), dtype=np.float32)


def jaw_field(geometry: FaceGeometry, x: Floats, y: Floats) -> Floats:
    """1 at the chin, 0 above the mouth and at the ears, [n, n]."""
    mouth = geometry.identity.mouth_height
    # Beside the mouth the cheek stretches; at the mouth the lips part instead.
    aside = np.minimum(np.abs(x) / 0.7, 1) ** 2
    down = np.clip((y - (mouth - 0.06 - 0.40 * aside)) / (0.26 + 0.50 * aside), 0, 1)
    down = down * down * (3 - 2 * down)
    # Towards the jaw joint, and in the hair beside it, nothing moves.
    joint = np.exp(-((np.abs(x) / 0.80) ** 4))
    return (down * joint).astype(np.float32)
