"""Recordings of faces: a folder of frames or a video."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from datamodules.errors import BadSample
from datamodules.files import is_image, visible
from datamodules.images import read_image

ReadFrame = Callable[[int], NDArray[np.uint8]]
"""Returns the frame at an index from 0: [H, W] grey, or [H, W, 3] RGB."""


@dataclass(frozen=True)
class FrameFolder:
    """A recording kept as one image file a frame.

    Args:
        path: The folder.
        names: Names of the image files, in order of time.
    """

    path: Path
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)

    def files(self) -> list[Path]:
        """List the files that the recording is made of."""
        return [self.path / name for name in self.names]

    def frame_name(self, index: int) -> str:
        """Name a frame for a message."""
        return str(self.path / self.names[index])

    def reader(self, *, colour: bool) -> ReadFrame:
        """Open the recording, in RGB or grey."""
        return lambda index: read_image(self.path / self.names[index], colour=colour)

    def frames(self, *, colour: bool) -> Iterator[NDArray[np.uint8]]:
        """Yield all frames in order, in RGB or grey."""
        reader = self.reader(colour=colour)
        return map(reader, range(len(self)))


@dataclass(frozen=True)
class Video:
    """A recording kept as a video file.

    Args:
        path: The file.
        length: Frames that its header announces.
    """

    path: Path
    length: int

    def __len__(self) -> int:
        return self.length

    def files(self) -> list[Path]:
        """List the files that the recording is made of."""
        return [self.path]

    def frame_name(self, index: int) -> str:
        """Name a frame for a message."""
        return f"{self.path} (frame {index + 1})"

    def reader(self, *, colour: bool) -> ReadFrame:
        """Open the recording, in RGB or grey."""
        return _VideoReader(self, colour).read

    def frames(self, *, colour: bool) -> Iterator[NDArray[np.uint8]]:
        """Yield all frames in order, in RGB or grey, whatever number the header announces."""
        capture = cv2.VideoCapture(str(self.path))
        while (frame := capture.read()[1]) is not None:
            yield _convert(frame, colour)


Recording = FrameFolder | Video


def frame_folder(path: Path, pattern: re.Pattern[str] | None = None) -> FrameFolder:
    """Make a recording from a folder of frames, sorted by the numbers in their names.

    A frame is each file whose whole name matches the pattern, without one each image. The
    recording may be empty.
    """
    files = visible(path)
    kept = (f.name for f in files if (pattern.fullmatch(f.name) if pattern else is_image(f)))
    return FrameFolder(path, tuple(kept))


def open_video(path: Path) -> Video:
    """Make a recording from a video file.

    Raises:
        BadSample: If the file cannot be read as a video.
    """
    capture = cv2.VideoCapture(str(path))
    opened, length = capture.isOpened(), int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    capture.release()
    if not opened:
        raise BadSample(path, "the file cannot be read as a video")
    return Video(path, length)


class _VideoReader:
    """Reads on from where it is, and starts anew to go back.

    Seeking in a compressed video lands on the wrong frame with some codecs; decoding in order
    never does.
    """

    def __init__(self, recording: Video, colour: bool) -> None:
        self._recording = recording
        self._colour = colour
        self._capture: Any = None
        self._next = 0

    def read(self, index: int) -> NDArray[np.uint8]:
        if self._capture is None or index < self._next:
            self._capture, self._next = cv2.VideoCapture(str(self._recording.path)), 0
        while self._next < index and self._capture.grab():
            self._next += 1
        frame: NDArray[np.uint8] | None = None
        if self._next == index:
            frame = self._capture.read()[1]
        if frame is None:
            raise BadSample(
                self._recording.path,
                f"the video ends after {self._next} frames, "
                f"though its header announces {len(self._recording)}",
            )
        self._next += 1
        return _convert(frame, self._colour)


def _convert(frame: NDArray[Any], colour: bool) -> NDArray[np.uint8]:
    """Turn OpenCV's BGR into RGB or grey."""
    code = cv2.COLOR_BGR2RGB if colour else cv2.COLOR_BGR2GRAY
    return np.asarray(cv2.cvtColor(frame, code), np.uint8)
