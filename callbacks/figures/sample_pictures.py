"""Which samples of an epoch are drawn, and when."""

from __future__ import annotations

import zlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor

from callbacks.figures.colour_wheel import flow_to_rgb, reference_pixels
from callbacks.figures.picture_grid import Cell, Row, draw_grid
from datamodules.errors import UserError


class SamplePictures(pl.Callback, ABC):
    """Draws one sample of each expression into ``figures/`` of the run folder.

    The samples are chosen by a checksum of their ``sample_id``: the same in every epoch, spread
    over subjects, and not picked for their looks. Pictures go to W&B as well where its logger is
    active. A subclass says which outputs of a step a row needs and what stands in it.

    Args:
        every_n_epochs: Validation is drawn after every n-th epoch and after the last.
        max_rows: At most so many samples in a picture.
        max_magnitude: Length in pixels of a 128x128 grid that is drawn in the full colour; longer
            motion is darkened. Fixed, so that the pictures of a run can be compared.
    """

    def __init__(
        self, every_n_epochs: int = 5, max_rows: int = 8, max_magnitude: float = 4.0
    ) -> None:
        if every_n_epochs < 1 or max_rows < 1 or not max_magnitude > 0:
            raise UserError(
                f"{type(self).__name__} needs every_n_epochs and max_rows of 1 or more and a "
                f"max_magnitude above 0 px; got {every_n_epochs}, {max_rows} and {max_magnitude}."
            )
        self.every_n_epochs = every_n_epochs
        self.max_rows = max_rows
        self.max_magnitude = max_magnitude
        self._chosen: dict[int, tuple[int, dict[str, Tensor]]] = {}

    @abstractmethod
    def keys(self, outputs: Mapping[str, Any]) -> Sequence[str]:
        """Name the outputs of a step that a row needs, beside ``sample_id``."""

    @abstractmethod
    def columns(self, trainer: pl.Trainer) -> Sequence[str]:
        """Name what stands in a row."""

    @abstractmethod
    def cells(self, sample: Mapping[str, Tensor], class_names: Sequence[str]) -> list[Cell]:
        """Draw a sample, given the outputs of `keys` without their batch axis."""

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Forget the samples of the epoch before."""
        self._chosen.clear()

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep the samples that are to be drawn."""
        # Lightning gives None for a method whose validation step returns nothing to draw.
        if outputs is not None and self._draws_validation(trainer):
            self._choose(outputs)

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw the samples of this epoch."""
        if self._draws_validation(trainer):
            fitting = trainer.state.fn == TrainerFn.FITTING
            epoch = trainer.current_epoch
            self._draw(
                trainer,
                file=f"validation_epoch_{epoch:03d}" if fitting else "validation",
                title=f"Validation, epoch {epoch}" if fitting else "Validation",
                key="val/pictures",
            )

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Forget the samples of an earlier test."""
        self._chosen.clear()

    def on_test_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep the samples that are to be drawn."""
        if trainer.is_global_zero:
            self._choose(outputs)

    def on_test_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw the test samples."""
        if trainer.is_global_zero:
            self._draw(trainer, file="test", title="Test", key="test/pictures")

    def flow_cell(self, flow: Tensor, caption: str) -> Cell:
        """Draw a flow [2, H, W] in pixels of a 128x128 grid as a colour wheel."""
        return Cell(flow_to_rgb(flow.numpy(), max_magnitude=self.max_magnitude), caption)

    def _draws_validation(self, trainer: pl.Trainer) -> bool:
        # Rank zero draws from its own share of the samples: a picture needs no other.
        if trainer.sanity_checking or not trainer.is_global_zero:
            return False
        done = trainer.current_epoch + 1
        return (
            trainer.state.fn != TrainerFn.FITTING
            or done % self.every_n_epochs == 0
            or done == trainer.max_epochs
        )

    def _choose(self, outputs: Mapping[str, Any]) -> None:
        """Hold one sample of each label: the one whose id has the lowest checksum."""
        keys = (*self.keys(outputs), "sample_id")
        labels, ids = outputs["label"].tolist(), outputs["sample_id"].tolist()
        for i, (label, sample_id) in enumerate(zip(labels, ids, strict=True)):
            place = zlib.crc32(str(sample_id).encode())
            if label not in self._chosen or place < self._chosen[label][0]:
                self._chosen[label] = (place, {key: _kept(key, outputs[key][i]) for key in keys})

    def _draw(self, trainer: pl.Trainer, *, file: str, title: str, key: str) -> None:
        data = trainer.datamodule  # type: ignore[attr-defined]
        rows = [
            Row(
                f"{data.class_names[label]}\n{data.sample_name(int(sample['sample_id']))}",
                self.cells(sample, data.class_names),
            )
            for label, (_, sample) in sorted(self._chosen.items())[: self.max_rows]
        ]
        self._chosen.clear()
        if not rows:
            return
        path = figures_folder(trainer) / f"{file}.png"
        draw_grid(
            path,
            title=f"{title}, data: {data.source}",
            columns=self.columns(trainer),
            rows=rows,
            max_magnitude=self.max_magnitude,
        )
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger):
                logger.log_image(key, [str(path)], step=trainer.global_step)


def figures_folder(trainer: pl.Trainer) -> Path:
    """Return the folder of the run's pictures."""
    return Path(trainer.default_root_dir) / "figures"


def mean_epe(flow: Tensor, true: Tensor) -> float:
    """Return the mean endpoint error of a flow [2, H, W], in its pixels."""
    return float(torch.linalg.vector_norm(flow - true, dim=0).mean())


def _kept(key: str, value: Tensor) -> Tensor:
    """Copy an output of a sample off the device; flows in pixels of a 128x128 grid."""
    value = value.detach().cpu().clone()
    return value.float() * reference_pixels(value.shape[-1]) if key.endswith("flow") else value
