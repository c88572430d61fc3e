"""Find a face and cut it out loosely, with a box that stays for the whole recording."""

from __future__ import annotations

import threading
from typing import Any, NamedTuple

import cv2
import cv2.data
import numpy as np
from cv2.typing import MatLike
from numpy.typing import NDArray

LOOSE_MARGIN = 1.6
"""Side of the loose box in sides of the face.

The box of the detector ends at the brows and the chin. 1.6 adds 30 % on every side: the whole
head, and room for it to move in.
"""

_SMALLEST = 0.12  # of the picture's shorter side; what is smaller is no subject of a recording
# Of the same: faces of recordings mostly are larger, and small windows take most of the time.
_LARGE = 0.25
_DETECTION_SIDE = 480  # longer side at which is searched; more finds no more faces and takes longer

# A cascade keeps its buffers between calls, so each thread has its own.
_local = threading.local()


class Box(NamedTuple):
    """A rectangle in pixels; it may stick out of its picture."""

    left: int
    top: int
    width: int
    height: int


def _cascade() -> Any:
    if not hasattr(_local, "cascade"):
        _local.cascade = cv2.CascadeClassifier(
            cv2.data.haarcascades + "haarcascade_frontalface_alt2.xml"
        )
    return _local.cascade


def detect_face(image: NDArray[np.uint8]) -> Box | None:
    """Find the largest face.

    Args:
        image: [H, W] grey image.

    Returns:
        A box around brows, cheeks and chin, or None where no face is found.

    Reference:
        Viola and Jones, Rapid object detection using a boosted cascade of simple features,
        CVPR 2001; OpenCV's haarcascade_frontalface_alt2.
    """
    scale = min(1.0, _DETECTION_SIDE / max(image.shape))
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    picture = cv2.equalizeHist(small)
    # The detector merges windows whose sides differ by a fifth, in chains: of a face near to the
    # limit it would not see all, and its box would move by a pixel.
    large = round(_LARGE * min(small.shape))
    found = _largest(picture, large)
    if found is None or found.width < 1.8 * large:
        found = _largest(picture, round(_SMALLEST * min(small.shape)))
    return found and Box(*(round(float(value) / scale) for value in found))


def _largest(picture: MatLike, smallest: int) -> Box | None:
    found = _cascade().detectMultiScale(
        picture, scaleFactor=1.1, minNeighbors=3, minSize=(smallest, smallest)
    )
    return Box(*max(found, key=lambda box: box[2] * box[3])) if len(found) else None


def face_of_landmarks(landmarks: NDArray[np.floating[Any]]) -> Box:
    """Estimate the box that `detect_face` would give from the landmarks of a face.

    Args:
        landmarks: [68, 2] in pixels, x and y in the order of 300-W.

    Returns:
        A square, possibly beyond the picture. On the drawn faces and on photographs it has the
        size of a detection to 4 and 6 % (standard deviation), and its place to 3 %.
    """
    low, high = landmarks.min(axis=0), landmarks.max(axis=0)
    side = 1.155 * float((high - low).max())
    # A detection reaches further up: landmarks end at the brows.
    centre = (low + high) / 2 - (0.0, 0.21 * (high - low)[1])
    left, top = (round(float(value)) for value in centre - side / 2)
    return Box(left, top, round(side), round(side))


def loose_box(face: Box, margin: float, image_shape: tuple[int, ...]) -> Box:
    """Widen the box of a face to a square that leaves room for the head to move.

    Args:
        face: The face.
        margin: Side of the square in sides of the face, e.g. `LOOSE_MARGIN`.
        image_shape: Height and width of the picture, and what else its shape has.

    Returns:
        The square around the middle of the face, shifted into the picture as far as it goes. It
        is never shrunk, so that a face has one size in all crops: where the picture is smaller
        than the square, the square sticks out on both sides and `crop` fills in.
    """
    side = round(margin * max(face.width, face.height))
    height, width = image_shape[:2]

    def place(start: int, length: int, limit: int) -> int:
        if side > limit:
            return (limit - side) // 2
        return min(max(start + (length - side) // 2, 0), limit - side)

    left = place(face.left, face.width, width)
    top = place(face.top, face.height, height)
    return Box(left, top, side, side)


def crop(image: NDArray[np.uint8], box: Box) -> NDArray[np.uint8]:
    """Cut a box out of a picture.

    Args:
        image: [H, W] or [H, W, C].
        box: What to cut out.

    Returns:
        [box.height, box.width] or with C: a view where the box lies within the picture, else a
        copy with the picture's border repeated.
    """
    height, width = image.shape[:2]
    right, bottom = box.left + box.width, box.top + box.height
    outside = (max(-box.top, 0), max(bottom - height, 0), max(-box.left, 0), max(right - width, 0))
    inside = image[max(box.top, 0) : bottom, max(box.left, 0) : right]
    if not any(outside):
        return inside
    return np.asarray(cv2.copyMakeBorder(inside, *outside, cv2.BORDER_REPLICATE), np.uint8)
