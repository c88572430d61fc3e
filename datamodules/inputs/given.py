"""What a person gives to predict on: a path, a stream or frames in memory."""

from __future__ import annotations

import os
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datamodules.errors import UserError
from datamodules.files import file_name, given_path
from datamodules.inputs.live import LiveStream, live_stream
from datamodules.recordings import FrameArrays

Input = Path | LiveStream | FrameArrays
"""A file or folder, a camera or stream, or frames in memory."""


def given_input(text: str | None) -> Path | LiveStream | None:
    """Make the input that an argument names; None for none."""
    return live_stream(text) or given_path("input", text)


def given_neutral(text: str | None) -> int | Path | None:
    """Make the neutral face that an argument names: first, a number of a frame, or a picture."""
    if text is None or text == "first":
        return None
    if text.lstrip("-").isdecimal():
        return int(text)
    path = Path(text).expanduser()
    if not path.is_file():
        raise UserError(
            f"There is no neutral face {text}: give first, the number of a frame, from 0, or a "
            "picture."
        )
    return path


def given_frames(images: NDArray[np.uint8] | Sequence[NDArray[np.uint8]]) -> FrameArrays:
    """Make an input of frames in memory.

    Raises:
        UserError: If they are no uint8 pictures, or one picture that is not in a list.
    """
    if getattr(images, "ndim", 0) == 3 and images[0].shape[1] == 3:
        raise UserError(
            f"The images are {list(np.shape(images))}, which is one RGB picture: give [picture]."
        )
    frames = [np.asarray(image) for image in images]
    for frame in frames:
        is_picture = frame.ndim == 2 or (frame.ndim == 3 and frame.shape[2] == 3)
        if frame.dtype != np.uint8 or not is_picture:
            raise UserError(
                f"An image is {frame.dtype} {list(frame.shape)}: give uint8 [N, H, W, 3] RGB or "
                "[N, H, W] grey, from 0 to 255."
            )
    return FrameArrays("images", frames)


def folder_name(given: Input) -> str:
    """Name the folder of the answers on an input; two inputs never share one.

    It is called after the input and, since many are called alike, a checksum of its whole path.
    """
    path = given.resolve() if isinstance(given, Path) else given
    key = os.fsencode(path) if isinstance(path, Path) else path.name.encode()
    return f"{file_name(path.name)}-{zlib.crc32(key):08x}"
