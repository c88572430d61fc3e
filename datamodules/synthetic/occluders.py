"""Painters of things that hide a part of a face: sunglasses, a mask, a hand, a scarf, a bar."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from datamodules.synthetic.geometry import Floats
from datamodules.synthetic.identity import Colour
from datamodules.synthetic.painting import Bytes, shifted

Occluder = Literal["sunglasses", "mask", "hand", "box", "scarf", "bar"]
OCCLUDERS: tuple[Occluder, ...] = ("sunglasses", "mask", "hand", "box")
"""Those of drawn stills, in the order of their codes from 1."""

_SHIFT = 4  # OpenCV's coordinates in sixteenths of a pixel
_CLOTHS = ((176, 206, 222), (236, 238, 240), (40, 42, 48), (120, 168, 160))
_LENSES = ((22, 20, 22), (46, 32, 24), (24, 34, 44))
# Landmarks that a hand or a box may sit on: eyes, cheeks, mouth and chin.
_PLACES = (37, 44, 31, 35, 48, 54, 57, 8)


def paint_occluder(
    image: Bytes,
    landmarks: Floats,
    unit: float,
    kind: Occluder,
    skin: Colour,
    rng: np.random.Generator,
) -> None:
    """Paint an occluder over a face, in place.

    Args:
        image: uint8 RGB [h, w, 3], or grey [h, w].
        landmarks: [68, 2] pixels (x, y) in the order of 300-W.
        unit: Pixels in a face unit (half the width of the face).
        kind: What hides the face.
        skin: Colour of the hand, RGB in [0, 1].
        rng: Source of place, size and colour.
    """
    grey = image.ndim == 2
    picture = cv2.cvtColor(image, cv2.COLOR_GRAY2RGB) if grey else image
    layer = picture.copy()
    if kind == "sunglasses":
        _sunglasses(layer, landmarks, unit, rng)
    elif kind == "mask":
        _mask(layer, landmarks, unit, rng)
    elif kind == "hand":
        _hand(layer, landmarks, unit, skin, rng)
    elif kind == "scarf":
        _scarf(layer, landmarks, unit, rng)
    elif kind == "bar":
        _bar(layer, landmarks, unit, rng)
    else:
        _box(layer, landmarks, unit, rng)
    # The edge is as soft as the rest of the picture, and the sensor as noisy.
    hidden = (layer != picture).any(-1).astype(np.float32)
    soft = cv2.GaussianBlur(hidden, (0, 0), 0.6)[..., None]
    noise = rng.normal(0.0, 2.0, picture.shape).astype(np.float32)
    mixed = np.clip(picture + soft * (layer + noise - picture), 0, 255).astype(np.uint8)
    image[:] = cv2.cvtColor(mixed, cv2.COLOR_RGB2GRAY) if grey else mixed


def _sunglasses(layer: Bytes, landmarks: Floats, unit: float, rng: np.random.Generator) -> None:
    colour = _LENSES[int(rng.integers(len(_LENSES)))]
    eyes = landmarks[36:42].mean(axis=0), landmarks[42:48].mean(axis=0)
    apart = eyes[1] - eyes[0]
    tilt = float(np.rad2deg(np.arctan2(apart[1], apart[0])))
    half_width = min(0.36 * unit, 0.44 * float(np.hypot(*apart)))  # narrower on a turned head
    size = (half_width, rng.uniform(0.24, 0.32) * unit)
    thick = max(1, round(0.05 * unit))
    cv2.line(layer, _whole(eyes[0]), _whole(eyes[1]), colour, thick, cv2.LINE_AA)
    for eye, ear in zip(eyes, (landmarks[0], landmarks[16]), strict=True):
        cv2.line(layer, _whole(eye), _whole(ear), colour, thick, cv2.LINE_AA)
        _ellipse(layer, shifted(eye, 0.06 * unit), size, tilt, colour)
        shine = tuple(value + 34 for value in colour)
        spot = eye - np.array((0.12, 0.05)) * unit
        _ellipse(layer, spot, (0.10 * unit, 0.05 * unit), tilt - 30, shine)


def _mask(layer: Bytes, landmarks: Floats, unit: float, rng: np.random.Generator) -> None:
    colour = _CLOTHS[int(rng.integers(len(_CLOTHS)))]
    nose = shifted(landmarks[28], rng.uniform(0.0, 0.12) * unit)
    for ear, cheek in ((0, 3), (16, 13)):
        cv2.line(
            layer, _whole(landmarks[ear]), _whole(landmarks[cheek]), (226, 226, 224), 1, cv2.LINE_AA
        )
    chin = shifted(landmarks[3:14], 0.05 * unit)
    outline = np.concatenate([landmarks[2:3], chin, landmarks[14:15], nose[None]])
    _polygon(layer, outline, colour)
    shade = tuple(round(0.86 * value) for value in colour)
    left, right = landmarks[3], landmarks[13]
    for share in (0.25, 0.5, 0.75):  # the folds hang down a little in the middle
        down = share * (landmarks[8] - landmarks[30])
        middle = landmarks[30] + down
        ends = [end + 0.5 * down for end in (left, right)]
        inside = [middle + 0.8 * (end - middle) for end in ends]
        fold = np.stack([inside[0], shifted(middle, 0.03 * unit), inside[1]])
        cv2.polylines(layer, [_fixed(fold)], False, shade, 1, cv2.LINE_AA, _SHIFT)


def _scarf(layer: Bytes, landmarks: Floats, unit: float, rng: np.random.Generator) -> None:
    """A striped cloth from under the nose over the chin, wider than the face."""
    colour = rng.uniform(60, 200, 3)
    left, right = landmarks[2], landmarks[14]
    top = landmarks[33] + (left + right - landmarks[1] - landmarks[15]) / 8
    down = landmarks[8] - landmarks[30]
    upper = np.stack([left - 0.1 * (right - left), top, right + 0.1 * (right - left)])
    _polygon(layer, np.concatenate([upper, (upper + 1.8 * down)[::-1]]), tuple(colour.tolist()))
    stripe = tuple((rng.uniform(0.4, 1.3) * colour).clip(0, 255).tolist())
    for share in np.arange(0.15, 1.75, 0.3):
        line = upper + share * down
        thick = max(1, round(0.06 * unit))
        cv2.polylines(layer, [_fixed(line)], False, stripe, thick, cv2.LINE_AA, _SHIFT)


def _bar(layer: Bytes, landmarks: Floats, unit: float, rng: np.random.Generator) -> None:
    """An upright plank before the nose, with a grain along it."""
    colour = np.array((150, 110, 70)) * rng.uniform(0.6, 1.3)
    half, height = rng.uniform(0.22, 0.32) * unit, float(layer.shape[0])
    middle = float(landmarks[30, 0])
    edges = (middle - half, middle + half)
    corners = np.array([(x, y) for x, y in zip(edges * 2, (0, 0, height, height), strict=True)])
    _polygon(layer, corners[[0, 1, 3, 2]], tuple(colour.tolist()))
    for share in rng.uniform(-0.9, 0.9, 9):
        x = middle + share * half
        grain = tuple((rng.uniform(0.7, 1.1) * colour).tolist())
        ends = np.array([(x, 0.0), (x + 0.1 * half, height)])
        cv2.polylines(layer, [_fixed(ends)], False, grain, 1, cv2.LINE_AA, _SHIFT)


def _hand(
    layer: Bytes, landmarks: Floats, unit: float, colour: Colour, rng: np.random.Generator
) -> None:
    """Four fingers side by side and the palm below, from some direction."""
    skin = np.array(colour) * 255 * rng.uniform(0.7, 1.0)
    edge = tuple((0.62 * skin).tolist())
    tip = landmarks[int(rng.choice(_PLACES))] + rng.normal(0.0, 0.08 * unit, 2)
    # Hands come from below, or from the side on which they lie.
    side = 1.0 if tip[0] > landmarks[30, 0] else -1.0
    angle = np.deg2rad(90 - side * rng.uniform(-5, 60))
    along = np.array((np.cos(angle), np.sin(angle)))
    across = np.array((-along[1], along[0]))
    width = rng.uniform(0.17, 0.22) * unit
    palm = tip + along * 1.25 * unit
    size = (0.55 * unit, 2.15 * width)
    _ellipse(layer, palm, size, float(np.rad2deg(angle)), tuple((0.9 * skin).tolist()))
    for finger, reach in zip((-1.5, -0.5, 0.5, 1.5), (0.12, -0.06, 0.0, 0.2), strict=True):
        start = tip + across * finger * width + along * reach * unit
        end = start + along * 0.95 * unit
        for thick, colour in ((width, edge), (0.82 * width, tuple(skin.tolist()))):
            cv2.line(layer, _whole(start), _whole(end), colour, max(1, round(thick)), cv2.LINE_AA)


def _box(layer: Bytes, landmarks: Floats, unit: float, rng: np.random.Generator) -> None:
    colour = rng.uniform(30, 225, 3)
    centre = landmarks[int(rng.choice(_PLACES))] + rng.normal(0.0, 0.1 * unit, 2)
    size = rng.uniform(0.7, 1.25, 2) * unit
    box = tuple(centre.tolist()), tuple(size.tolist()), float(rng.uniform(-30, 30))
    corners = np.asarray(cv2.boxPoints(box), np.float32)
    _polygon(layer, corners, tuple(colour.tolist()))
    darker = tuple((0.7 * colour).tolist())
    cv2.polylines(layer, [_fixed(corners)], True, darker, 1, cv2.LINE_AA, _SHIFT)


def _ellipse(
    layer: Bytes,
    centre: Floats,
    half: tuple[float, float],
    degrees: float,
    colour: tuple[float, ...],
) -> None:
    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    points = np.stack([half[0] * np.cos(angle), half[1] * np.sin(angle)], -1)
    turn = np.deg2rad(degrees)
    matrix = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    _polygon(layer, points @ matrix + centre, colour)


def _polygon(layer: Bytes, points: Floats, colour: tuple[float, ...]) -> None:
    cv2.fillPoly(layer, [_fixed(points)], colour, cv2.LINE_AA, _SHIFT)


def _fixed(points: Floats) -> NDArray[np.int32]:
    return np.asarray(np.round(points * (1 << _SHIFT)), np.int32)


def _whole(point: Floats) -> tuple[int, int]:
    return round(float(point[0])), round(float(point[1]))
