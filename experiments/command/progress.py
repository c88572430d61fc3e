"""The progress of a command, measured."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import ProgressBar, Timer
from lightning.pytorch.trainer.states import TrainerFn
from rich.console import Console

from experiments.command.display import Display, Row, display_on, duration
from experiments.run.checkpoints import RunCheckpoints

_LOSSES = 50  # an epoch, of which the mean is shown


class RunProgress(ProgressBar):
    """Shows a row an epoch, or a validation where steps decide when to validate.

    Args:
        display: Where to show it; by default a table with a bar where the standard error is a
            terminal, and lines otherwise.
    """

    def __init__(self, display: Display | None = None) -> None:
        super().__init__()
        self._display = display
        self._enabled = True
        self._start: tuple[float, float] | None = None  # when, and which share was done by then
        self._row_at = 0.0
        self._row_due = False
        self._loss_sum, self._steps = torch.zeros(()), 0
        self._loss_name = ""

    def disable(self) -> None:
        """Show nothing, as Lightning asks of all but the first process."""
        self._enabled = False

    @property
    def display(self) -> Display | None:
        """Where to show progress; None in all but the first process."""
        if self._enabled and self._display is None:
            # Only now: averaged weights begin with a deep copy of the whole trainer, and a console
            # cannot be copied.
            self._display = display_on(Console(stderr=True))
        return self._display if self._enabled else None

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Start the clock, and show the row of a validation within the epoch."""
        if self._start is None:
            self._row_at = time.monotonic()
            self._start = self._row_at, _share_done(trainer, batch_idx)
        if self._row_due:
            self._show_row(trainer, batch_idx)

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Move the bar, and collect the loss without waiting for the device."""
        if (display := self.display) is None:
            return
        if outputs and batch_idx % max(1, trainer.num_training_batches // _LOSSES) == 0:
            self._add_loss(outputs)
        done = batch_idx + 1
        left = self._left(trainer, done)
        what = " ".join(reversed(_place(trainer)))
        rest = "" if left is None else f"{duration(left)} left"
        display.advance(what, done, trainer.num_training_batches, rest)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Have a row shown once the checkpoints have seen the value."""
        fits = trainer.state.fn == TrainerFn.FITTING
        self._row_due = fits and not trainer.sanity_checking
        if not fits and (display := self.display) is not None:
            display.close()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Show the row of the epoch."""
        # Where steps decide when to validate, an epoch may be much shorter than that.
        if self._row_due or trainer.check_val_every_n_epoch is not None:
            self._show_row(trainer, int(trainer.num_training_batches))

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Give the terminal back."""
        if (display := self.display) is not None:
            display.close()

    on_test_end = on_predict_end = on_train_end

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        """Give the terminal back to the error."""
        self.on_train_end(trainer, pl_module)

    def on_validation_batch_end(self, trainer: pl.Trainer, *args: Any, **kwargs: Any) -> None:
        """Move the bar of a validation."""
        if not trainer.sanity_checking:
            self._evaluated("validation", trainer.num_val_batches, *args, **kwargs)

    def on_test_batch_end(self, trainer: pl.Trainer, *args: Any, **kwargs: Any) -> None:
        """Move the bar of a test."""
        self._evaluated("test", trainer.num_test_batches, *args, **kwargs)

    def on_predict_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Move the bar of a prediction, by what the data module knows of its input."""
        report = getattr(trainer.datamodule, "report", None)  # type: ignore[attr-defined]
        share, progress = getattr(report, "share", None), getattr(report, "progress", None)
        done = batch_idx + 1
        whole = done / share if share else trainer.num_predict_batches[dataloader_idx]
        if (display := self.display) is not None:
            display.advance("predict", done, whole, progress() if progress else "")

    def _evaluated(
        self,
        what: str,
        lengths: list[int | float],
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        if (display := self.display) is not None:
            display.advance(what, batch_idx + 1, lengths[dataloader_idx], "")

    def _add_loss(self, outputs: Mapping[str, Any]) -> None:
        losses = {
            name: value
            for name, value in outputs.items()
            if isinstance(value, torch.Tensor) and value.ndim == 0
        }
        if not losses:
            return
        # What Lightning itself descends, `loss`, has another name among the losses of our methods.
        first = "total" if "total" in losses else min(losses, key="loss".__eq__)
        self._loss_name = f"train/{first}"
        self._loss_sum = losses[first].detach() + (self._loss_sum if self._steps else 0)
        self._steps += 1

    def _show_row(self, trainer: pl.Trainer, batches: int) -> None:
        now = time.monotonic()
        place, unit = _place(trainer)
        checkpoint = trainer.checkpoint_callback
        monitor = (checkpoint.monitor or "") if isinstance(checkpoint, RunCheckpoints) else ""
        value = trainer.callback_metrics.get(monitor) if self._row_due else None
        row = Row(
            place,
            unit,
            monitor,
            None if value is None else float(value),
            isinstance(checkpoint, RunCheckpoints) and checkpoint.best_step == trainer.global_step,
            self._loss_name,
            float(self._loss_sum) / self._steps if self._steps else None,
            next((group["lr"] for o in trainer.optimizers for group in o.param_groups), None),
            now - self._row_at,
            self._left(trainer, batches),
        )
        self._row_at, self._row_due, self._steps = now, False, 0
        if (display := self.display) is not None:
            display.row(row)

    def _left(self, trainer: pl.Trainer, batches: int) -> float | None:
        """Estimate the seconds left of the whole run, after so many batches of this epoch."""
        timers = [c for c in trainer.callbacks if isinstance(c, Timer)]  # type: ignore[attr-defined]
        limits = [t for t in (timer.time_remaining() for timer in timers) if t is not None]
        began, before = self._start or (time.monotonic(), 0.0)
        share = _share_done(trainer, batches)
        if share > before:
            limits.append((time.monotonic() - began) / (share - before) * max(0.0, 1 - share))
        return min(limits, default=None)


def _limits(trainer: pl.Trainer) -> Iterator[tuple[str, int]]:
    """Yield what ends a training: `epoch` or `step` and their number."""
    if trainer.max_epochs not in (None, -1):
        yield "epoch", int(trainer.max_epochs or 0)
    if trainer.max_steps != -1:
        yield "step", trainer.max_steps


def _place(trainer: pl.Trainer) -> tuple[str, str]:
    """Say how far a training has come, by steps where nothing limits the epochs."""
    unit, limit = next(_limits(trainer), ("epoch", 0))
    done = trainer.current_epoch + 1 if unit == "epoch" else trainer.global_step
    return f"{done}/{limit}" if limit else str(done), unit


def _share_done(trainer: pl.Trainer, batches: int) -> float:
    """Return which part of a training is done, in [0, 1], by the limit that it reaches first."""
    epochs = trainer.current_epoch + batches / trainer.num_training_batches
    done = {"epoch": epochs, "step": float(trainer.global_step)}
    return max((done[unit] / limit for unit, limit in _limits(trainer) if limit), default=0.0)
