"""Progress for a log file or a pipe, where a bar that redraws itself is unreadable."""

from __future__ import annotations

import math
import sys
import time
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import ProgressBar


class ProgressLines(ProgressBar):
    """Prints a line every few seconds and at the end of every epoch.

    Args:
        every_seconds: Time between two lines within an epoch.
    """

    def __init__(self, every_seconds: float = 15.0) -> None:
        super().__init__()
        self.every_seconds = every_seconds
        self._enabled = True
        self._printed_at = 0.0
        self._began_at = 0.0
        self._began_with = 0

    def disable(self) -> None:
        """Print nothing, as Lightning asks of all but the first process."""
        self._enabled = False

    def enable(self) -> None:
        """Print again."""
        self._enabled = True

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock of an epoch."""
        self._began_at = self._printed_at = time.monotonic()
        self._began_with = 0

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Print a line when it is time."""
        now = time.monotonic()
        if self._began_at == 0.0:  # an epoch that goes on after a resume does not start
            self._began_at, self._began_with, self._printed_at = now, batch_idx, now
        if now - self._printed_at < self.every_seconds:
            return
        done, whole = batch_idx + 1, int(trainer.num_training_batches)
        seconds = (now - self._began_at) / max(1, done - self._began_with) * (whole - done)
        self._say(
            f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}, batch {done}/{whole}, "
            f"{_duration(seconds)} left of the epoch"
        )

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Print how an epoch went."""
        values = {k: float(v) for k, v in trainer.callback_metrics.items() if k.startswith("val/")}
        shown = "".join(f", {key} {value:.4g}" for key, value in values.items())
        took = _duration(time.monotonic() - self._began_at)
        self._say(f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs} in {took}{shown}")

    def on_test_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Print a line when it is time."""
        self._evaluated("test", batch_idx, trainer.num_test_batches[dataloader_idx])

    def on_predict_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Print a line when it is time."""
        self._evaluated("predict", batch_idx, trainer.num_predict_batches[dataloader_idx])

    def _evaluated(self, verb: str, batch_idx: int, whole: float) -> None:
        done = batch_idx + 1
        if done == whole or time.monotonic() - self._printed_at >= self.every_seconds:
            # A stream of clips does not know its length.
            total = f"/{whole:.0f}" if math.isfinite(whole) else ""
            self._say(f"{verb}: batch {done}{total}")

    def _say(self, line: str) -> None:
        if self._enabled:
            print(line, file=sys.stderr, flush=True)
        self._printed_at = time.monotonic()


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
