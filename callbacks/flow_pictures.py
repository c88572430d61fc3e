"""Pictures of the motion before and after frontalization, and of the faces warped by it."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import rank_zero_info

from callbacks.colour_wheel import flow_to_rgb, reference_pixels
from callbacks.picture_grid import Cell, Row, draw_grid
from callbacks.sequence_pictures import SequencePictures, face_to_rgb

_COLUMNS = (
    "posed flow",
    "frontalized flow",
    "true frontal flow",
    "neutral",
    "warped",
    "true apex",
)
_FLOWS = ("posed_flow", "frontalized_flow", "flow")
_FACES = ("neutral", "warped", "apex")


class FlowPictures(pl.Callback):
    """Draws flows as colour wheels and faces side by side into ``figures/`` of the run folder.

    In validation and test one sample of each expression is drawn: posed, frontalized and true flow
    on one colour scale, then the neutral, warped and true apex face. The samples are chosen by a
    checksum of their ``sample_id``: the same in every epoch, spread over subjects and head poses,
    and not picked for their looks. In prediction each sequence gets ``predict/<sequence>_*.png``.
    Pictures go to W&B as well where its logger is active.

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
            raise ValueError(
                "FlowPictures needs every_n_epochs and max_rows of 1 or more and a max_magnitude "
                f"above 0 px; got {every_n_epochs}, {max_rows} and {max_magnitude}."
            )
        self.every_n_epochs = every_n_epochs
        self.max_rows = max_rows
        self.max_magnitude = max_magnitude
        self._chosen: dict[int, tuple[int, dict[str, torch.Tensor]]] = {}
        self._sequences: SequencePictures | None = None

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

    def on_predict_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Open the pictures of the sequences."""
        self._sequences = SequencePictures(
            figures_folder(trainer) / "predict",
            class_names=trainer.datamodule.class_names,  # type: ignore[attr-defined]
            max_magnitude=self.max_magnitude,
            rank=trainer.global_rank,
        )

    def on_predict_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Look for the frame with the most motion of each sequence."""
        if self._sequences is not None:
            self._sequences.add(outputs)

    def on_predict_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Put the pictures of the sequences in place."""
        if self._sequences is not None:
            self._sequences.finish()
            self._sequences = None
            rank_zero_info(f"Pictures of the sequences: {figures_folder(trainer) / 'predict'}")

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
        labels, ids = outputs["label"].tolist(), outputs["sample_id"].tolist()
        for i, (label, sample_id) in enumerate(zip(labels, ids, strict=True)):
            place = zlib.crc32(str(sample_id).encode())
            if label not in self._chosen or place < self._chosen[label][0]:
                keys = (*_FLOWS, *_FACES, "logits", "sample_id")
                sample = {key: outputs[key][i].detach().cpu().clone() for key in keys}
                for key in _FLOWS:
                    sample[key] = sample[key].float() * reference_pixels(sample[key].shape[-1])
                self._chosen[label] = (place, sample)

    def _draw(self, trainer: pl.Trainer, *, file: str, title: str, key: str) -> None:
        data = trainer.datamodule  # type: ignore[attr-defined]
        rows = []
        for label, (_, sample) in sorted(self._chosen.items())[: self.max_rows]:
            flows = [
                Cell(
                    flow_to_rgb(sample[key].float().numpy(), max_magnitude=self.max_magnitude),
                    caption,
                )
                for key, caption in zip(_FLOWS, _captions(sample, data.class_names), strict=True)
            ]
            faces = [Cell(face_to_rgb(sample[key])) for key in _FACES]
            name = data.sample_name(int(sample["sample_id"]))
            rows.append(Row(f"{data.class_names[label]}\n{name}", [*flows, *faces]))
        if not rows:
            return
        path = figures_folder(trainer) / f"{file}.png"
        draw_grid(
            path,
            title=f"{title}, data: {data.source}",
            columns=_COLUMNS,
            rows=rows,
            max_magnitude=self.max_magnitude,
        )
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger):
                logger.log_image(key, [str(path)], step=trainer.global_step)
        self._chosen.clear()


def figures_folder(trainer: pl.Trainer) -> Path:
    """Return the folder of the run's pictures."""
    return Path(trainer.default_root_dir) / "figures"


def _captions(sample: Mapping[str, torch.Tensor], class_names: tuple[str, ...]) -> list[str]:
    """Say under each flow how far it is from the true one, and what the classifier reads."""
    true = sample["flow"].float()
    posed, frontalized = (
        float(torch.linalg.vector_norm(sample[key].float() - true, dim=0).mean())
        for key in _FLOWS[:2]
    )
    read = class_names[int(sample["logits"].argmax())]
    return [f"EPE {posed:.2f} px", f"EPE {frontalized:.2f} px, read as {read}", ""]
