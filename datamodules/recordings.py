"""Recordings of faces: a folder of frames or a video."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from datamodules.errors import BadSample
from datamodules.files import Problems, is_image, open_file, visible
from datamodules.images import grey, read_image, rgb

ReadFrame = Callable[[int], NDArray[np.uint8]]
"""Returns the frame at an index from 0: [H, W] grey, or [H, W, 3] RGB."""


class Frame(NamedTuple):
    """A frame of a recording.

    Attributes:
        number: From 0.
        picture: uint8 [H, W] grey or [H, W, 3] RGB, or what is wrong with it.
        seconds: Time since the beginning; NaN where the recording does not say.
    """

    number: int
    picture: NDArray[np.uint8] | BadSample
    seconds: float = math.nan


_GAP = 300  # frames in a row that cannot be decoded: what then comes is no longer looked for


@dataclass(frozen=True)
class FrameFolder:
    """A recording kept as one image file a frame.

    Args:
        path: The folder.
        names: Names of the image files, in order of time.
    """

    path: Path
    names: tuple[str, ...]

    rate = 25.0
    """Frames a second, where one has to be assumed."""

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

    def frames(self, *, colour: bool, every: int = 1) -> Iterator[Frame]:
        """Yield every n-th frame, in RGB or grey; a bad one with its reason."""
        reader = self.reader(colour=colour)
        for index in range(0, len(self), every):
            try:
                yield Frame(index, reader(index))
            except BadSample as bad:
                yield Frame(index, bad)


@dataclass(frozen=True)
class Video:
    """A recording kept as a video file.

    Args:
        path: The file.
        length: Frames that its header announces.
    """

    path: Path
    length: int

    @property
    def rate(self) -> float:
        """Frames a second on average, as its header says."""
        capture = _capture(self.path)
        rate = float(capture.get(cv2.CAP_PROP_FPS))
        capture.release()
        return rate if rate > 0 else FrameFolder.rate

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

    def frames(self, *, colour: bool, every: int = 1) -> Iterator[Frame]:
        """Yield every n-th frame, in RGB or grey; the last may be what is wrong.

        A frame that cannot be decoded is left out and decoding goes on behind it. In the end, a
        video of which fewer frames were read than its header announces is a bad sample.
        """
        capture = _capture(self.path)
        tries = read = failed = 0
        while True:
            # Time is the file's own: a phone's frames are not evenly spaced.
            decoded = capture.grab()
            frame = capture.retrieve()[1] if decoded and tries % every == 0 else None
            if not decoded:
                failed += 1
                if tries >= self.length or failed > _GAP:
                    break
            else:
                failed = 0
                read += 1
                if frame is not None:
                    seconds = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
                    yield Frame(tries, from_bgr(frame, colour), seconds)
            tries += 1
        if read < self.length or not read:
            reason = f"{read} frames were read, though its header announces {self.length}"
            yield Frame(tries, BadSample(self.path, reason))


@dataclass(frozen=True)
class FrameArrays:
    """A recording, or pictures, that lie in memory.

    Args:
        name: What they are called.
        arrays: uint8 [H, W, 3] RGB or [H, W] grey, each.
        seconds: Time of each frame since the beginning; empty where nobody knows.
    """

    name: str
    arrays: Sequence[NDArray[np.uint8]]
    seconds: Sequence[float] = ()

    def __len__(self) -> int:
        return len(self.arrays)

    def frame_name(self, index: int) -> str:
        """Name a frame for a message."""
        return f"{self.name} (frame {index + 1})"

    def frames(self, *, colour: bool, every: int = 1) -> Iterator[Frame]:
        """Yield every n-th frame, in RGB or grey."""
        for index in range(0, len(self), every):
            array = self.arrays[index]
            seconds = self.seconds[index] if len(self.seconds) else math.nan
            yield Frame(index, rgb(array) if colour else grey(array), seconds)


Recording = FrameFolder | Video


def frame_folder(
    path: Path, pattern: re.Pattern[str] | None = None, problems: Problems | None = None
) -> FrameFolder:
    """Make a recording from a folder of frames, sorted by the numbers in their names.

    Args:
        path: The folder.
        pattern: A frame is each file whose whole name matches it; None: each image.
        problems: Second frames of one name, such as img_001.PNG beside img_001.png, are added to
            it; None to raise them.

    Returns:
        The recording, which may be empty.

    Raises:
        BadSample: If a frame is there twice.
    """
    files = visible(path)
    kept = [f for f in files if (pattern.fullmatch(f.name) if pattern else is_image(f))]
    frames: dict[str, str] = {}
    for file in kept:
        first = frames.setdefault(file.stem.lower(), file.name)
        if first != file.name:
            bad = BadSample(file, f"is a second frame {file.stem}, beside {first}")
            if problems is None:
                raise bad
            problems.append((file, bad.reason))
    return FrameFolder(path, tuple(frames.values()))


def open_video(path: Path) -> Video:
    """Make a recording from a video file.

    Raises:
        BadSample: If the file cannot be read as a video.
    """
    capture = _capture(path)
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
            self._capture, self._next = _capture(self._recording.path), 0
        while self._next < index:  # a frame that cannot be decoded has a place all the same
            self._capture.grab()
            self._next += 1
        frame: NDArray[np.uint8] | None = self._capture.read()[1]
        self._next += 1
        if frame is None:
            raise BadSample(
                self._recording.path,
                f"frame {index + 1} of the {len(self._recording)} that its header announces "
                "cannot be read",
            )
        return from_bgr(frame, self._colour)


def _capture(path: Path) -> cv2.VideoCapture:
    """Open a video; OpenCV would wait for ever for a pipe."""
    open_file(path).close()
    # A name that is no UTF-8 would end the process, were it given as a str.
    name: Any = os.fsencode(path)
    return cv2.VideoCapture(name)


def from_bgr(frame: NDArray[Any], colour: bool) -> NDArray[np.uint8]:
    """Turn OpenCV's BGR into RGB or grey."""
    code = cv2.COLOR_BGR2RGB if colour else cv2.COLOR_BGR2GRAY
    return np.asarray(cv2.cvtColor(frame, code), np.uint8)
