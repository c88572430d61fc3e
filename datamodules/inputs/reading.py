"""How an input to predict on is gone through; nothing here needs torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from datamodules.detectors import FaceDetector, HaarCascade
from datamodules.errors import UserError
from datamodules.inputs.given import Input
from datamodules.inputs.report import InputReport
from datamodules.recordings import FrameFolder, Video

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


class FoundInput:
    """An input and its sources.

    Args:
        given: The input.
        reading: Reads it.
        options: How it is gone through.
        report: Counts what becomes of it.

    Attributes:
        name: What rows call it.
        detector: What finds its faces, for its rows.
        sources: Its recordings and pictures.

    Raises:
        DatasetError: If there is no such input, or nothing in it that can be read.
    """

    def __init__(
        self, given: Input, reading: Reading, options: InputOptions, report: InputReport
    ) -> None:
        self.name = given.resolve().name if isinstance(given, Path) else given.name
        self.detector = options.detector.name if reading.finds_faces else "none"
        self.sources: Sequence[InputSource] = reading.find(given, options, report)
        self._reading, self._options, self._report = reading, options, report

    def batches(self, *, rank: int = 0, world: int = 1) -> Iterator[InputBatch]:
        """Yield the batches of those sources that a process of so many takes."""
        return self._reading.stream(
            self.sources, self._options, self._report, rank=rank, world=world
        )

    def film(self, name: str) -> FrameFolder | Video | None:
        """Open the film of a name in the rows once more; None for what is no film."""
        found = next((source for source in self.sources if source.name == name), None)
        return None if found is None else found.film()

    def sample_name(self, sample_id: int) -> str:
        """Name a sample of the sources."""
        return self._reading.sample_name(self.sources, sample_id)
