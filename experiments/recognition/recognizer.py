"""A trained method as a function from pictures, films or streams to rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from callbacks.records.rows import Columns, InputRows, rows_of
from datamodules.detectors import open_detector
from datamodules.errors import UserError
from datamodules.inputs.given import Input, given_frames, given_input, given_neutral
from datamodules.inputs.reading import FoundInput, InputOptions
from datamodules.inputs.report import InputReport
from datamodules.inputs.smoothing import DEFAULT_SECONDS
from datamodules.recordings import FrameFolder, Video
from experiments.recognition.method import Method
from experiments.recognition.onnx_file import OnnxMethod

Images = NDArray[np.uint8] | Sequence[NDArray[np.uint8]]


class Recognizer:
    """Reads expressions in pictures, films and streams, as `lightning predict` does.

    >>> recognizer = Recognizer.load("best.ckpt")  # or "model.onnx", which needs no torch
    >>> for row in recognizer("clip.mp4"):
    ...     print(row["seconds"], row["track"], row["predicted"], row["happiness"])

    Args:
        method: The trained method.
        every: Of films and streams every n-th frame is looked at.
        detector: haar, or the path of YuNet's ONNX file; None as for `detectors.open_detector`.
        neutral: Of methods that see motion: number of the neutral frame, or path of a picture of
            the neutral face; None for the first frame.
        smoothing: Time constant of the smoothed probabilities in seconds; 0 for none.
        batch_size: Faces or pairs of frames that are answered at once.

    Raises:
        UserError: If an argument is out of its range, or there is no such detector or picture.
    """

    def __init__(
        self,
        method: Method,
        *,
        every: int = 1,
        detector: str | None = None,
        neutral: int | str | None = None,
        smoothing: float = DEFAULT_SECONDS,
        batch_size: int = 16,
    ) -> None:
        if smoothing < 0:
            raise UserError(f"smoothing must be at least 0, but is {smoothing:g}.")
        face = given_neutral(None if neutral is None else str(neutral))
        self.method = method
        self.smoothing = smoothing
        self.options = InputOptions(open_detector(detector), every, batch_size, face)
        self._found: FoundInput | None = None

    @classmethod
    def load(cls, path: str | Path, **options: Any) -> Recognizer:
        """Load a checkpoint that `lightning fit` wrote, or a file that `lightning export` wrote.

        Args:
            path: ``.ckpt``, or ``.onnx``, of which nothing but the file is read.
            **options: See `Recognizer`.

        Raises:
            UserError: If it is no such file.
        """
        method: Method
        if Path(path).suffix == ".onnx":
            method = OnnxMethod(Path(path))
        else:
            # Only here: torch takes seconds to import, and may not be there.
            from experiments.recognition.checkpoint import CheckpointMethod

            method = CheckpointMethod(Path(path))
        return cls(method, **options)

    def __call__(self, given: str | Path | int | Images) -> Iterator[dict[str, Any]]:
        """Yield a row for each face of pictures and films, or each frame of recordings.

        Rows come as their frames are read; nothing is kept of a film or stream.

        Args:
            given: Frames of one film in their order, uint8 [N, H, W, 3] RGB or [N, H, W] grey, or
                a list of such of any sizes; or the path of a picture, video or folder, the number
                of a camera, or the address of a stream. A method that sees motion takes films and
                folders of frames, and needs two frames of one size.

        Yields:
            Values by the names of the columns of ``predictions.csv``, see `rows.InputRows`:
            ``frame`` from 0, ``seconds`` (NaN where nobody knows), ``track``, the box ``x, y,
            width, height`` in pixels, ``predicted``, the probability of each class, ``smoothed``
            and ``smoothed_<class>``.

        Raises:
            UserError: If there is no such input, it is none for this method, or, after all other
                rows, a file or frame of it cannot be read.
        """
        report = InputReport()
        found: Input | None
        if isinstance(given, str | Path | int):
            found = given_input(str(given))
        else:
            found = given_frames(given)
        if found is None:
            raise UserError("The input is empty: give a path, frames or the number of a camera.")
        for columns in self.columns(found, report):
            yield from rows_of(columns)
        if report.problems:
            report.close("raise")

    def columns(self, given: Input, report: InputReport) -> Iterator[Columns]:
        """Yield the rows of each batch of an input as columns, and let a report count them."""
        method, options = self.method, self.options
        self._found = found = FoundInput(given, method.reading, options, report)
        rows = InputRows(
            method.class_names,
            source=found.name,
            detector=found.detector,
            trained_on=method.trained_on,
            smoothing=self.smoothing,
        )
        for batch in found.batches():
            yield rows.columns(batch, **method.answer(batch))

    def film(self, name: str) -> FrameFolder | Video | None:
        """Open a film of the last input once more by its name in the rows; None for no film."""
        return None if self._found is None else self._found.film(name)
