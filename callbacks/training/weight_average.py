"""The exponential moving average of a training's weights, which is what is validated and kept."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import WeightAveraging
from torch import Tensor

from datamodules.errors import UserError


class WeightAverage(WeightAveraging):
    """Averages weights and norm statistics after every step.

    Validation scores the average, and a checkpoint holds it as the model's weights, beside those
    that training goes on with.

    Args:
        decay: Share of the average that a step leaves; smaller in the first steps, (1 + n) /
            (10 + n) after n of them, so that the random start is soon forgotten.

    Raises:
        UserError: If the decay is not between 0 and 1.

    Reference:
        Polyak and Juditsky (1992); the decay of the first steps is that of TensorFlow's
        ``ExponentialMovingAverage``.
    """

    def __init__(self, decay: float = 0.999) -> None:
        if not 0 < decay < 1:
            raise UserError(f"A decay is between 0 and 1, got {decay:g}.")

        def average(averaged: Tensor, current: Tensor, steps: Tensor | int) -> Tensor:
            share = min(decay, (1 + int(steps)) / (10 + int(steps)))
            return averaged + (1 - share) * (current - averaged)

        super().__init__(avg_fn=average)

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Take the average back; a test needs none, since the model's weights are the average."""
        if self._average_model is not None:
            super().on_load_checkpoint(trainer, pl_module, checkpoint)
