"""Read an image file, or say what is wrong with it; turn images grey, and resize them."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import ChunkStream

from datamodules.errors import BadSample

_PNG, _PNG_END = b"\x89PNG\r\n\x1a\n", b"IEND\xaeB\x60\x82"
_JPEG, _JPEG_END = b"\xff\xd8", b"\xff\xd9"


def read_image(path: Path, *, colour: bool) -> NDArray[np.uint8]:
    """Read an image file of any format that OpenCV reads.

    Returns:
        [H, W, 3] RGB if `colour`, else [H, W] grey, 0 to 255; both are made from either.

    Raises:
        BadSample: If the file is missing, truncated, damaged or no image.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadSample(path, error.strerror or "the file cannot be read") from error
    if not data:
        raise BadSample(path, "the file is empty")
    if damage := _damage(data):
        raise BadSample(path, damage)
    flags = cv2.IMREAD_COLOR_RGB if colour else cv2.IMREAD_GRAYSCALE
    image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if image is None:
        raise BadSample(path, "the file is not an image that can be decoded")
    return np.asarray(image, np.uint8)


def _damage(data: bytes) -> str | None:
    """Ask Pillow what is wrong with a file of which OpenCV would decode half as if it were whole.

    Pillow compares the checksums of a PNG without decoding it; `Image.verify` does the same, but
    takes as long as decoding a small one. A JPEG that ends with its end marker is whole; any
    other, such as one with trailing bytes, is decoded to find out.
    """
    try:
        if data.startswith(_PNG):
            if _PNG_END not in data:
                return "the file is truncated"
            ChunkStream(io.BytesIO(data[len(_PNG) :])).verify()
        elif data.startswith(_JPEG) and not data.endswith(_JPEG_END):
            Image.open(io.BytesIO(data), formats=("JPEG",)).load()
    except OSError:
        return "the file is truncated"
    except SyntaxError:  # Pillow's word for a broken PNG
        return "the file is damaged (a PNG checksum differs)"
    return None


def grey(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Turn RGB [H, W, 3] into grey [H, W]; grey stays as it is."""
    if image.ndim == 2:
        return image
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)


def any_coloured(read: Callable[[int], NDArray[np.uint8]], rows: Iterable[int]) -> bool:
    """Tell whether any of some images, read in RGB, has a colour; bad samples have none."""
    for row in rows:
        try:
            image = read(row)
        except BadSample:
            continue  # the cache will name it
        if (image[..., :1] != image[..., 1:]).any():
            return True
    return False


def resize(image: NDArray[Any], size: int) -> NDArray[Any]:
    """Resize an image [H, W] or [H, W, C] of any type to a square, whatever its proportions."""
    shrinks = size <= min(image.shape[:2])
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (size, size), interpolation=interpolation), image.dtype)
