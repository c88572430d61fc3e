"""The exponential moving average of a training's weights, which is what is validated and kept."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import WeightAveraging

from datamodules.errors import UserError


class WeightAverage(WeightAveraging):
    """Averages weights and norm statistics after every step.

    Validation scores the average, and a checkpoint holds it as the model's weights, beside those
    that training goes on with. Lightning's ``EMAWeightAveraging`` has one decay from the first
    step on, so that the random start would stay in the average for thousands of them.

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
        super().__init__()
        self._decay = decay
        self._steps = 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Bring the average, which is made before the model moves, to the model's device."""
        assert self._average_model is not None
        self._average_model.to(pl_module.device)
        self._steps = int(self._average_model.n_averaged)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any
    ) -> None:
        """Average after a step of the optimizer."""
        if trainer.global_step > self._latest_update_step:
            self._latest_update_step = trainer.global_step
            self._update(pl_module)

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Take the average back; a test needs none, since the model's weights are the average."""
        if self._average_model is not None:
            super().on_load_checkpoint(trainer, pl_module, checkpoint)

    @torch.no_grad()
    def _update(self, pl_module: pl.LightningModule) -> None:
        """Move the average towards the current weights, in place.

        Torch's ``update_parameters`` reads from the device how often it was called, which waits for
        it; here the steps are counted on the host.
        """
        assert self._average_model is not None
        averaged = [*self._average_model.module.parameters(), *self._average_model.module.buffers()]
        current = [*pl_module.parameters(), *pl_module.buffers()]
        if self._steps:
            step = 1 - min(self._decay, (1 + self._steps) / (10 + self._steps))
            pairs = list(zip(averaged, current, strict=True))
            floats = [pair for pair in pairs if pair[0].is_floating_point()]
            averages, now = map(list, zip(*floats, strict=True))
            difference = torch._foreach_sub(now, averages)
            torch._foreach_mul_(difference, step)
            torch._foreach_add_(averages, difference)
            for average, value in pairs:
                if not average.is_floating_point():
                    average.copy_(average + step * (value - average))
        else:
            torch._foreach_copy_(averaged, current)
        self._average_model.n_averaged += 1
        self._steps += 1
