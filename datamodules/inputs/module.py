"""Prediction on what a person gives, as a DataModule."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningDataModule
from lightning.pytorch.utilities import rank_zero_info
from torch.utils.data import DataLoader, IterableDataset

from datamodules.detectors import open_detector
from datamodules.errors import OnBadSample, UserError
from datamodules.inputs.given import given_input
from datamodules.inputs.reading import FoundInput, InputBatch, InputOptions, Reading
from datamodules.inputs.report import InputReport
from datamodules.inputs.smoothing import DEFAULT_SECONDS
from datamodules.recordings import FrameFolder, Video


class InputDataModule(LightningDataModule):
    """An input that is read as the training data of a method were read.

    Args:
        input: What to predict on: a video, or a folder of pictures or videos; or the number of a
            camera or the address of a stream (rtsp://, http://), which is read until Ctrl-C.
        every: Of films and streams to predict on, every n-th frame is looked at.
        detector: What finds faces in the input: haar (the cascade by which training faces are cut
            out), or the path of YuNet's ONNX file; null takes the file that the environment
            variable FER_LIGHTNING_YUNET names, else haar.
        smoothing: Time in seconds over which the probabilities about a person in a film are
            averaged, beside those of each frame; 0 for none.

    Attributes:
        source: Name of the input, or of the data that a subclass holds.
        manifest_hash: Fingerprint of the names in the input, or of those data.
        report: What became of the input to predict on.
        trained_on: Source of the data that a model to predict with has seen; else empty.

    Raises:
        UserError: If an argument is out of its range.
    """

    takes: str  # what there may be to predict on, for a message
    batch_size: int
    on_bad_sample: OnBadSample

    def __init__(
        self,
        input: str | None = None,
        every: int = 1,
        detector: str | None = None,
        smoothing: float = DEFAULT_SECONDS,
    ) -> None:
        super().__init__()
        if smoothing < 0:
            raise UserError(f"data.smoothing must be at least 0, but is {smoothing:g}.")
        self.input = given_input(input)
        self.every = every
        self.detector = detector
        self.smoothing = smoothing
        self.source = ""
        self.manifest_hash = ""
        self.report = InputReport()
        self.trained_on = ""
        self._found: FoundInput

    def preprocessing(self) -> dict[str, Any]:
        """Return what is done to a picture or film before a model predicts on it, of JSON types."""
        raise NotImplementedError

    def reading(self) -> Reading:
        """Return what reads an input as the data set was read."""
        raise NotImplementedError

    def neutral_face(self) -> int | Path | None:
        """Return where the neutral face of an input is; None where motion is not looked at."""
        return None

    def predict_dataloader(self) -> DataLoader[InputBatch]:
        """Batches of the input, streamed."""
        return DataLoader(_Batches(self._found, *self._rank()), batch_size=None)

    @cached_property
    def input_options(self) -> InputOptions:
        """How the input is gone through."""
        detector = open_detector(self.detector)
        return InputOptions(detector, self.every, self.batch_size, self.neutral_face())

    def film(self, name: str) -> FrameFolder | Video | None:
        """Open the film of a name in the input's rows once more; None for what is no film."""
        return self._found.film(name)

    @property
    def finds_faces_by(self) -> str:
        """What finds the faces of the input, for its rows."""
        return self._found.detector

    def teardown(self, stage: str) -> None:
        """After all that can be answered is written, name what could not be.

        Raises:
            DatasetError: If a part of the input cannot be used and may not be skipped.
        """
        if stage == "predict":
            self.report.close(self.on_bad_sample, alone=self._rank()[1] == 1)

    def _setup_input(self) -> None:
        """Find what to predict on."""
        if self.input is None:
            raise UserError(f"Prediction needs data.input: {self.takes}.")
        self._found = FoundInput(self.input, self.reading(), self.input_options, self.report)
        self.source = self._found.name
        names = [source.name for source in self._found.sources]
        self.manifest_hash = hashlib.sha256(os.fsencode("\n".join(names))).hexdigest()
        rank_zero_info(f"{self.source}: {len(names)} recordings or pictures to predict on")

    def _rank(self) -> tuple[int, int]:
        """Number of this process, and of all."""
        if self.trainer is None:
            return 0, 1
        return self.trainer.global_rank, self.trainer.world_size


class _Batches(IterableDataset[InputBatch]):
    """The batches of an input that a process of so many answers, as tensors."""

    def __init__(self, found: FoundInput, rank: int, world: int) -> None:
        self._found, self._rank, self._world = found, rank, world

    def __iter__(self) -> Iterator[InputBatch]:
        return map(as_tensors, self._found.batches(rank=self._rank, world=self._world))


def as_tensors(batch: InputBatch) -> InputBatch:
    """Turn the arrays of a batch into tensors over the same memory; lists stay lists."""
    arrays = {k: torch.from_numpy(v) for k, v in batch.items() if isinstance(v, np.ndarray)}
    return {**batch, **arrays}
