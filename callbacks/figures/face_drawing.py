"""Faces drawn on: box, answer and heat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]

_LEAST_SIDE = 480
_BOX = (255, 214, 10)
_OPACITY = 0.55


@dataclass(frozen=True)
class SeenFace:
    """A face with what was said of it.

    Attributes:
        box: x, y, width, height in pixels of the picture; it may stick out of it.
        answer: What to write beside it.
        heat: uint8 [H, W], 255 where the answer was read; None for no heat map.
    """

    box: tuple[int, int, int, int]
    answer: str
    heat: Picture | None


def blend_heat(picture: Picture, heat: Picture) -> Picture:
    """Lay a heat map over a picture, the more opaque the hotter.

    Args:
        picture: RGB [H, W, 3].
        heat: uint8 [H, W].

    Returns:
        RGB [H, W, 3].
    """
    colours = cv2.cvtColor(cv2.applyColorMap(heat, cv2.COLORMAP_TURBO), cv2.COLOR_BGR2RGB)
    share = _OPACITY * (heat.astype(np.float32) / 255)[..., None]
    blended: Picture = (picture * (1 - share) + colours * share).round().astype(np.uint8)
    return blended


def draw_faces(picture: Picture, faces: Sequence[SeenFace]) -> Picture:
    """Draw heat maps, boxes and answers on a picture.

    Args:
        picture: RGB [H, W, 3]; a small one is enlarged, so that words can be read.
        faces: What was seen on it.

    Returns:
        RGB, of the same proportions.
    """
    factor = max(1.0, _LEAST_SIDE / max(picture.shape[:2]))
    enlarged = cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
    drawn: Picture = np.asarray(enlarged, np.uint8)
    boxes = [tuple(round(factor * side) for side in face.box) for face in faces]
    for face, box in zip(faces, boxes, strict=True):
        if face.heat is not None:
            _heat_box(drawn, box, face.heat)
    # Words after all heat, since one face may lie on another.
    thickness = max(2, round(max(drawn.shape[:2]) / 320))
    for face, (x, y, width, height) in zip(faces, boxes, strict=True):
        cv2.rectangle(drawn, (x, y), (x + width - 1, y + height - 1), _BOX, thickness)
        _write(drawn, face.answer, x, y, thickness)
    return drawn


def _heat_box(drawn: Picture, box: Sequence[int], heat: Picture) -> None:
    x, y, width, height = box
    left, top = max(x, 0), max(y, 0)
    right, bottom = min(x + width, drawn.shape[1]), min(y + height, drawn.shape[0])
    if right <= left or bottom <= top:
        return
    fitted = np.asarray(cv2.resize(heat, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)
    inside = drawn[top:bottom, left:right]
    inside[:] = blend_heat(inside, fitted[top - y : bottom - y, left - x : right - x])


def _write(drawn: Picture, text: str, x: int, y: int, thickness: int) -> None:
    """Write above a box, or within it where there is no room above."""
    font, stroke = cv2.FONT_HERSHEY_SIMPLEX, max(1, thickness // 2)
    size = 0.3 * thickness
    (width, height), below = cv2.getTextSize(text, font, size, stroke)
    # Words wider than the picture are made to fit.
    size *= min(1.0, (drawn.shape[1] - 4) / width)
    (width, height), below = cv2.getTextSize(text, font, size, stroke)
    room = height + below + 4
    left = min(max(x, 0), max(drawn.shape[1] - width - 4, 0))
    top = y - room if y >= room else max(y, 0)
    cv2.rectangle(drawn, (left, top), (left + width + 3, top + room), _BOX, -1)
    place = (left + 2, top + height + 2)
    cv2.putText(drawn, text, place, font, size, (0, 0, 0), stroke, cv2.LINE_AA)
