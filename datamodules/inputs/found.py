"""An input in which the recordings and pictures to predict on were found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from datamodules.inputs.given import Input
from datamodules.inputs.reading import InputBatch, InputOptions, InputSource, Reading
from datamodules.inputs.report import InputReport
from datamodules.recordings import FrameFolder, Video


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
