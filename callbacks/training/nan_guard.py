"""Stops a training that has diverged, before it writes over its last good checkpoint."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor

from datamodules.errors import UserError


class NaNGuard(pl.Callback):
    """Ends training at the first loss that is not a finite number, and names it and its step.

    The values that each training step returns, or logs where it returns none, are held on the
    device and looked at once every few steps, because each look waits for the device. Before a
    checkpoint is written they and all weights are looked at, so that no checkpoint holds a weight
    that is not finite.

    Args:
        every_n_steps: Training steps between two looks.
    """

    def __init__(self, every_n_steps: int = 20) -> None:
        if every_n_steps < 1:
            raise UserError(f"nan_guard.every_n_steps must be 1 or more; got {every_n_steps}.")
        self.every_n_steps = every_n_steps
        self._unseen: list[tuple[int, int, tuple[str, ...], Tensor]] = []

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Hold the values of this step, and look when it is time.

        Raises:
            UserError: If a value is not finite.
        """
        # What was logged is put together anew for who asks: that takes longer than all the rest.
        returned = _scalars(outputs or {})
        values = {f"train/{name}": value for name, value in returned.items()}
        values = values or _scalars(trainer.callback_metrics)
        if values:
            # A copy: Lightning goes on adding to what it logs.
            held = torch.stack([value.detach().float() for value in values.values()])
            self._unseen.append((trainer.current_epoch, batch_idx, tuple(values), held))
        if len(self._unseen) >= self.every_n_steps:
            self._look(trainer)

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Look before anything is written.

        Raises:
            UserError: If a loss or a weight is not finite.
        """
        self._look(trainer)
        broken = [name for name, value in checkpoint["state_dict"].items() if not _finite(value)]
        if broken:
            raise UserError(
                f"Training diverged: {broken[0]} is not finite in epoch {trainer.current_epoch}, "
                f"step {trainer.global_step}. {_advice(trainer)}"
            )

    def _look(self, trainer: pl.Trainer) -> None:
        unseen, self._unseen = self._unseen, []
        if not unseen or _finite(torch.cat([values for *_, values in unseen])):
            return
        for epoch, batch, names, values in unseen:
            if not _finite(values):
                pairs = zip(names, values.tolist(), strict=True)
                name, value = next((n, v) for n, v in pairs if not math.isfinite(v))
                raise UserError(
                    f"Training diverged: {name} is {value} in epoch {epoch}, batch {batch}. "
                    f"{_advice(trainer)}"
                )


def _scalars(values: Mapping[str, Any]) -> dict[str, Tensor]:
    return {
        key: value
        for key, value in values.items()
        if isinstance(value, Tensor) and value.numel() == 1 and not key.startswith("val/")
    }


def _finite(value: Tensor) -> bool:
    return not value.is_floating_point() or bool(torch.isfinite(value).all())


def _advice(trainer: pl.Trainer) -> str:
    last = Path(trainer.default_root_dir) / "checkpoints" / "last.ckpt"
    kept = f"The last good checkpoint is {last}" if last.exists() else "No checkpoint was written"
    return f"{kept}; lower the learning rates and train again."
