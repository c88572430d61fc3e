"""Find the faces of a picture, and cut one out with some room around it."""

from __future__ import annotations

import threading
from typing import Any, NamedTuple

import cv2
import cv2.data
import numpy as np
from cv2.typing import MatLike
from numpy.typing import NDArray

from datamodules.errors import UserError

LOOSE_MARGIN = 1.6
"""Side of the loose box in sides of the face.

The box of the detector ends at the brows and the chin. 1.6 adds 30 % on every side: the whole
head, and room for it to move in.
"""

_SMALLEST = 0.12  # of the picture's shorter side; what is smaller is no subject of a recording
# Of the same: faces of recordings mostly are larger, and small windows take most of the time.
_LARGE = 0.25
_DETECTION_SIDE = 480  # longer side at which is searched; more finds no more faces and takes longer
_NEIGHBOURS = 3  # hits that make a face; only the best one counts

# The same where every face counts: a group has smaller faces than a portrait, which need some 30
# pixels to be seen, and each false one counts.
_SMALLEST_OF_ALL, _DETECTION_SIDE_OF_ALL, _NEIGHBOURS_OF_ALL = 0.05, 960, 5
_SAME_FACE = 0.3  # intersection over union of two boxes of one face; of two faces it is about 0

DETECTOR = f"haarcascade_frontalface_alt2 of OpenCV {cv2.__version__}"
"""What finds faces, for the files of a model."""

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
        if not hasattr(cv2, "CascadeClassifier"):
            raise UserError(
                f"OpenCV {cv2.__version__} has no cascades to find faces with: install "
                "opencv-contrib-python below 5, and no other package of OpenCV beside it."
            )
        _local.cascade = cv2.CascadeClassifier(
            cv2.data.haarcascades + "haarcascade_frontalface_alt2.xml"
        )
    return _local.cascade


def detect_face(image: NDArray[np.uint8]) -> Box | None:
    """Find the largest face of a grey image [H, W].

    Returns:
        A box around brows, cheeks and chin, or None where no face is found.

    Reference:
        Viola and Jones, Rapid object detection using a boosted cascade of simple features,
        CVPR 2001; OpenCV's haarcascade_frontalface_alt2.
    """
    picture, scale = _equalised(image, _DETECTION_SIDE)
    # The detector merges windows whose sides differ by a fifth, in chains: of a face near to the
    # limit it would not see all, and its box would move by a pixel.
    large = round(_LARGE * min(picture.shape))
    found = _largest(search_faces(picture, large, _NEIGHBOURS))
    if found is None or found.width < 1.8 * large:
        smallest = round(_SMALLEST * min(picture.shape))
        found = _largest(search_faces(picture, smallest, _NEIGHBOURS))
    return found and _enlarged(found, scale)


def detect_faces(image: NDArray[np.uint8]) -> list[Box]:
    """Find every face of a grey image [H, W], from left to right.

    A network is shown a face to predict on as it was shown those that it learned from: where
    `detect_face` finds one, its box is here, to the pixel, in place of the finer search's own.
    """
    picture, scale = _equalised(image, _DETECTION_SIDE_OF_ALL)
    smallest = round(_SMALLEST_OF_ALL * min(picture.shape))
    found = [_enlarged(box, scale) for box in search_faces(picture, smallest, _NEIGHBOURS_OF_ALL)]
    largest = detect_face(image)
    if largest is not None:
        found = [box for box in found if overlap(box, largest) < _SAME_FACE] + [largest]
    return sorted(found)


def _equalised(image: NDArray[np.uint8], side: int) -> tuple[MatLike, float]:
    """Shrink an image to a longer side if it is larger; return it and its scale."""
    scale = min(1.0, side / max(image.shape))
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return cv2.equalizeHist(small), scale


def search_faces(picture: MatLike, smallest: int, neighbours: int) -> list[Box]:
    """Run the cascade over a grey picture as it is, and return a box for each face, in no order.

    Args:
        picture: uint8 [H, W] grey.
        smallest: Shortest side in pixels of a face that is looked for.
        neighbours: Hits that make a face.
    """
    found = _cascade().detectMultiScale(
        picture, scaleFactor=1.1, minNeighbors=neighbours, minSize=(smallest, smallest)
    )
    return [Box(*box) for box in found]


def _largest(found: list[Box]) -> Box | None:
    return max(found, key=lambda box: box.width * box.height, default=None)


def _enlarged(box: Box, scale: float) -> Box:
    return Box(*(round(float(value) / scale) for value in box))


def overlap(one: Box, other: Box) -> float:
    """Return the intersection over union of two boxes."""
    lefts, tops = (one.left, other.left), (one.top, other.top)
    width = min(box.left + box.width for box in (one, other)) - max(lefts)
    height = min(box.top + box.height for box in (one, other)) - max(tops)
    shared = max(width, 0) * max(height, 0)
    return shared / (one.width * one.height + other.width * other.height - shared)


def face_of_landmarks(landmarks: NDArray[np.floating[Any]]) -> Box:
    """Estimate the box that `detect_face` would give from landmarks [68, 2] in the order of 300-W.

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
    """Cut a box out of a picture [H, W] or [H, W, C].

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
