"""Read an image file, or say what is wrong with it; turn images grey, and resize them."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import ChunkStream

from datamodules import MOST_PIXELS
from datamodules.errors import BadSample
from datamodules.files import open_file

_MOST_BYTES = 1_000_000_000
# A face is found from 30 pixels on in a picture shrunk to 960; a strip has fewer across.
_LEAST_SIDE, _MOST_RATIO = 4, 32
_PNG, _PNG_END = b"\x89PNG\r\n\x1a\n", b"IEND\xaeB\x60\x82"
_JPEG, _JPEG_END = b"\xff\xd8", b"\xff\xd9"


def read_image(path: Path, *, colour: bool) -> NDArray[np.uint8]:
    """Read an image file of any format that OpenCV reads.

    Returns:
        [H, W, 3] RGB if `colour`, else [H, W] grey, 0 to 255; both are made from either. Of values
        of 16 bits the eight that count are kept: cameras write 10, 12 or 14 bits into such files,
        and which is told by the largest value.

    Raises:
        BadSample: If the file is missing, truncated, damaged or no image, or one too large, or one
            of a shape that shows no face.
    """
    try:
        with open_file(path) as file:
            if os.fstat(file.fileno()).st_size > _MOST_BYTES:
                raise BadSample(
                    path, f"the file has more than {_MOST_BYTES / 1e9:g} GB; store it smaller"
                )
            data = file.read()
    except OSError as error:
        raise BadSample(path, error.strerror or "the file cannot be read") from error
    if not data:
        raise BadSample(path, "the file is empty")
    try:
        if damage := _damage(data):
            raise BadSample(path, damage)
        image = _decode(np.frombuffer(data, np.uint8), colour=colour)
    except (cv2.error, MemoryError, Image.DecompressionBombError) as error:
        raise BadSample(path, _refusal(error)) from error
    if image is None:
        raise BadSample(path, "the file is not an image that can be decoded")
    check_shape(image, path)
    return image


def check_shape(image: NDArray[np.uint8], path: str | Path) -> None:
    """Refuse a picture in which no face has pixels enough.

    Raises:
        BadSample: If a side is too short, or the other one too long for it.
    """
    height, width = image.shape[:2]
    short, long = sorted((height, width))
    if short < _LEAST_SIDE or long > _MOST_RATIO * short:
        raise BadSample(
            path,
            f"is {width} x {height} pixels, but a face needs {_LEAST_SIDE} each way and a picture "
            f"that is not more than {_MOST_RATIO} times as long as short",
        )


def _decode(data: NDArray[np.uint8], *, colour: bool) -> NDArray[np.uint8] | None:
    flags = cv2.IMREAD_COLOR_RGB if colour else cv2.IMREAD_GRAYSCALE
    image: Any = cv2.imdecode(data, flags | cv2.IMREAD_ANYDEPTH)
    if image is None or image.dtype == np.uint8:
        return image  # type: ignore[no-any-return]
    if image.dtype != np.uint16:  # floating point numbers, which OpenCV knows how to scale
        image = cv2.imdecode(data, flags)
        return image  # type: ignore[no-any-return]
    bits = next(bits for bits in (8, 10, 12, 14, 16) if int(image.max()) < 1 << bits)
    return np.asarray(image >> (bits - 8), np.uint8)


def _refusal(error: Exception) -> str:
    if "PIXELS" in str(error) or isinstance(error, Image.DecompressionBombError):
        most = int(os.environ[MOST_PIXELS])
        return (
            f"the image has more than {most / 1e6:g} million pixels; store it smaller, or allow "
            f"more by the environment variable {MOST_PIXELS}"
        )
    return "the file is not an image that can be decoded"


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


def rgb(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Turn grey [H, W] into three equal channels [H, W, 3]; RGB stays as it is."""
    return np.dstack([image] * 3) if image.ndim == 2 else image


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
    return resize_to(image, size, size)


def resize_to(image: NDArray[Any], width: int, height: int) -> NDArray[Any]:
    """Resize an image [H, W] or [H, W, C] of any type, whatever its proportions."""
    shrinks = height <= image.shape[0] and width <= image.shape[1]
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (width, height), interpolation=interpolation), image.dtype)
