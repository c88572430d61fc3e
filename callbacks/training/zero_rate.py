"""Says that an epoch was trained at learning rate 0."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.utilities import rank_zero_warn


class ZeroRate(pl.Callback):
    """Warns once where a schedule has ended at 0 and the training goes on without learning."""

    def __init__(self) -> None:
        self._moving: set[int] = set()
        self._said = False

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Forget the epoch before."""
        self._moving = set()

    def on_train_batch_start(self, trainer: pl.Trainer, *_: Any) -> None:
        """Note which optimizers have a learning rate."""
        if len(self._moving) == len(trainer.optimizers):
            return
        for number, optimizer in enumerate(trainer.optimizers):
            # One that is given 0 by hand is meant to stand still.
            rates = [g["lr"] for g in optimizer.param_groups if g.get("initial_lr", 0) > 0]
            if not rates or any(rates):
                self._moving.add(number)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Warn, where an optimizer had none in a whole epoch."""
        if len(self._moving) < len(trainer.optimizers) and not self._said:
            self._said = True
            rank_zero_warn(
                f"Epoch {trainer.current_epoch + 1} was trained at learning rate 0, so it changed "
                "nothing: the schedule (model.lr_scheduler) ends before the training."
            )
