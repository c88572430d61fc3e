"""Read an image file, or say what is wrong with it.

OpenCV alone does not do: it returns None without a reason, decodes half a file as if it were
whole, and writes the decoder's complaints to the terminal.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from datamodules.errors import BadSample

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8"


def _check_png(data: bytes) -> None:
    """Walk the chunks of a PNG and compare their checksums."""
    position = len(_PNG)
    while True:
        header = data[position : position + 8]
        if len(header) < 8:
            raise ValueError("the file is truncated")
        length, kind = struct.unpack(">I4s", header)
        end = position + 8 + length
        if len(data) < end + 4:
            raise ValueError("the file is truncated")
        if zlib.crc32(data[position + 4 : end]) != int.from_bytes(data[end : end + 4], "big"):
            raise ValueError("the file is damaged (a PNG checksum differs)")
        if kind == b"IEND":
            return
        position = end + 4


def _check_jpeg(data: bytes) -> None:
    """Walk the segments of a JPEG to its picture, and look for the end of that."""
    position = len(_JPEG)
    while data[position : position + 1] == b"\xff":
        if data[position + 1 : position + 2] == b"\xff":  # a filling byte
            position += 1
            continue
        marker = data[position + 1 : position + 2]
        position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
        if marker == b"\xda":  # the picture follows; a thumbnail's end came before
            break
    if data.find(b"\xff\xd9", position) < 0:
        raise ValueError("the file is truncated")


def read_image(path: Path, *, colour: bool) -> NDArray[np.uint8]:
    """Read an image file.

    Args:
        path: The file, in any format that OpenCV reads.
        colour: Whether to return RGB rather than grey; both are made from either.

    Returns:
        [H, W, 3] RGB or [H, W] grey, 0 to 255.

    Raises:
        BadSample: If the file is missing, truncated, damaged or no image.
    """
    try:
        data = path.read_bytes()
        if data.startswith(_PNG):
            _check_png(data)
        elif data.startswith(_JPEG):
            _check_jpeg(data)
    except OSError as error:
        raise BadSample(path, error.strerror or "the file cannot be read") from error
    except ValueError as error:
        raise BadSample(path, str(error)) from error
    if not data:
        raise BadSample(path, "the file is empty")
    flags = cv2.IMREAD_COLOR_RGB if colour else cv2.IMREAD_GRAYSCALE
    image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if image is None:
        raise BadSample(path, "the file is not an image that can be decoded")
    return np.asarray(image, np.uint8)
