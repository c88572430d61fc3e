"""Pictures of the motion before and after frontalization, and of the faces warped by it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor

from callbacks.figures.picture_grid import Cell
from callbacks.figures.sample_pictures import SamplePictures, figures_folder, mean_epe
from callbacks.figures.sequence_pictures import SequencePictures, face_to_rgb

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


class FlowPictures(SamplePictures):
    """Draws flows as colour wheels and faces side by side.

    In validation and test: posed, frontalized and true flow on one colour scale, then the neutral,
    warped and true apex face. In prediction each sequence gets ``predict/<sequence>_*.png``.

    Args:
        every_n_epochs: See `SamplePictures`.
        max_rows: See `SamplePictures`.
        max_magnitude: See `SamplePictures`.
    """

    def __init__(
        self, every_n_epochs: int = 5, max_rows: int = 8, max_magnitude: float = 4.0
    ) -> None:
        super().__init__(every_n_epochs, max_rows, max_magnitude)
        self._sequences: SequencePictures | None = None

    def keys(self, outputs: Mapping[str, Any]) -> Sequence[str]:
        """Name the outputs that a row needs."""
        return (*_FLOWS, *_FACES, "logits")

    def columns(self, trainer: pl.Trainer) -> Sequence[str]:
        """Name what stands in a row."""
        return _COLUMNS

    def cells(self, sample: Mapping[str, Tensor], class_names: Sequence[str]) -> list[Cell]:
        """Draw flows, saying how far each is from the true one and how it is read, and faces."""
        posed, frontalized, true = (sample[key] for key in _FLOWS)
        read = class_names[int(sample["logits"].argmax())]
        return [
            self.flow_cell(posed, f"EPE {mean_epe(posed, true):.2f} px"),
            self.flow_cell(
                frontalized, f"EPE {mean_epe(frontalized, true):.2f} px, read as {read}"
            ),
            self.flow_cell(true, ""),
            *(Cell(face_to_rgb(sample[key])) for key in _FACES),
        ]

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
