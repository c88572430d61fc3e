"""What there may be to predict on, and how it is gone through; nothing here needs torch."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from datamodules.detectors import FaceDetector, HaarCascade
from datamodules.errors import UserError
from datamodules.files import file_name, given_path
from datamodules.input_report import InputReport
from datamodules.live import LiveStream, live_stream
from datamodules.recordings import FrameArrays, FrameFolder, Video

Input = Path | LiveStream | FrameArrays
"""A file or folder, a camera or stream, or frames in memory."""

InputBatch = dict[str, Any]
"""A batch in the stored types, see `batch.FaceInputBatch` and `batch.SequenceBatch`; the arrays
are NumPy's."""


@dataclass(frozen=True)
class InputOptions:
    """How an input is gone through.

    Args:
        detector: What finds its faces.
        every: Every n-th frame of a film is looked at.
        batch_size: Faces or pairs of frames a batch; of a live stream each picture is one.
        neutral: Of methods that see motion: number of the frame of each recording that shows the
            neutral face, as rows count frames, or a picture of that face; None for the first.
    """

    detector: FaceDetector = field(default_factory=HaarCascade)
    every: int = 1
    batch_size: int = 64
    neutral: int | Path | None = None

    def __post_init__(self) -> None:
        if self.every < 1:
            raise UserError(f"data.every must be at least 1, but is {self.every}.")
        if isinstance(self.neutral, int) and self.neutral < 0:
            raise UserError(f"data.neutral must be at least 0, but is {self.neutral}.")


class InputSource(Protocol):
    """A part of an input that is read by itself."""

    @property
    def name(self) -> str:
        """What rows call it."""

    def film(self) -> FrameFolder | Video | None:
        """Open it as a film that can be read again; None where it is none."""


class Reading(Protocol):
    """Reads inputs as the training data of a method were read; of JSON types in its fields."""

    @property
    def colour(self) -> bool:
        """Whether faces are RGB rather than grey."""

    @property
    def finds_faces(self) -> bool:
        """Whether a detector looks for them, or each picture is a face."""

    def find(self, given: Input, options: InputOptions, report: InputReport) -> Sequence[Any]:
        """List the sources of an input, each an `InputSource`."""

    def stream(
        self,
        sources: Sequence[Any],
        options: InputOptions,
        report: InputReport,
        *,
        rank: int = 0,
        world: int = 1,
    ) -> Iterator[InputBatch]:
        """Yield the batches of those sources that a process of so many takes."""

    def sample_name(self, sources: Sequence[Any], sample_id: int) -> str:
        """Name a sample of the sources."""


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
        UserError: If they are no uint8 pictures.
    """
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
