"""What the console shows: sentences, progress in lines, and no message about nothing."""

from __future__ import annotations

import logging
import math
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import ProgressBar

from experiments.command.errors import printable
from experiments.run.processes import is_first_process

_WARNINGS = (
    # The loaders read a memory map and decode nothing; processes would only add work.
    ".*does not have many workers.*",
    # The sampler, and not the loader, knows where to go on (FlowDataModule.state_dict).
    ".*your dataloader is not resumable.*",
    # A small set has few batches; values are logged at the end of the epoch too.
    ".*smaller than the logging interval.*",
    # e_FER and the perceptual network are frozen and in eval mode on purpose.
    ".*module\\(s\\) in eval mode at the start of training.*",
    # A run that goes on from a checkpoint of an epoch's end begins with its schedulers.
    ".*`lr_scheduler.step\\(\\)` before `optimizer.step\\(\\)`.*",
    # What Lightning 2.6 still calls by its old name in jsonargparse 4, to which we are bound.
    "(?s).*(JsonargparseDeprecationWarning|v5\\.0\\.0)",
    # Between Lightning 2.6 and torch 2.13.
    ".*`isinstance\\(treespec, LeafSpec\\)` is deprecated.*",
    # One device is the default; the samplers count each sample once on several.
    ".*it is recommended to use `Trainer\\(devices=1, num_nodes=1\\)`.*",
)


def say(text: str) -> None:
    """Tell the person something, once however many processes there are.

    Args:
        text: What to say. It goes to the standard error, beside progress and warnings.
    """
    if is_first_process():
        print(printable(text), file=sys.stderr, flush=True)


@contextmanager
def quiet() -> Iterator[None]:
    """Leave out messages that are about nothing here.

    Yields:
        Nothing; the filters are gone afterwards.
    """
    logger = logging.getLogger("lightning.pytorch.utilities.rank_zero")
    logger.addFilter(_no_advertisement)
    with warnings.catch_warnings():
        for message in _WARNINGS:
            warnings.filterwarnings("ignore", message)
        try:
            yield
        finally:
            logger.removeFilter(_no_advertisement)


def _no_advertisement(record: logging.LogRecord) -> bool:
    return "litlogger" not in record.getMessage() and "litmodels" not in record.getMessage()


class ProgressLines(ProgressBar):
    """Prints a line every few seconds and at the end of every epoch.

    It is for a log file or a pipe, where a bar that redraws itself is unreadable.

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
            f"{_place(trainer)}, batch {done}/{whole}, {_duration(seconds)} left of the epoch"
        )

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Print how an epoch went: the value by which the best checkpoint is chosen."""
        monitor = getattr(trainer.checkpoint_callback, "monitor", None)
        value = trainer.callback_metrics.get(monitor or "")
        shown = "" if value is None else f", {monitor} {float(value):.4g}"
        took = _duration(time.monotonic() - self._began_at)
        self._say(f"{_place(trainer)} in {took}{shown}")

    def on_test_batch_end(self, trainer: pl.Trainer, *args: Any, **kwargs: Any) -> None:
        """Print a line when it is time."""
        self._evaluated("test", trainer.num_test_batches, *args, **kwargs)

    def on_predict_batch_end(self, trainer: pl.Trainer, *args: Any, **kwargs: Any) -> None:
        """Print a line when it is time."""
        report = getattr(trainer.datamodule, "report", None)  # type: ignore[attr-defined]
        if report is not None:
            if time.monotonic() - self._printed_at >= self.every_seconds:
                self._say(f"predict: {report.progress()}")
            return
        self._evaluated("predict", trainer.num_predict_batches, *args, **kwargs)

    def _evaluated(
        self,
        command: str,
        lengths: list[int | float],
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        done, whole = batch_idx + 1, lengths[dataloader_idx]
        if done == whole or time.monotonic() - self._printed_at >= self.every_seconds:
            # A stream of clips does not know its length.
            total = f"/{whole:.0f}" if math.isfinite(whole) else ""
            self._say(f"{command}: batch {done}{total}")

    def _say(self, line: str) -> None:
        if self._enabled:
            print(line, file=sys.stderr, flush=True)
        self._printed_at = time.monotonic()


def _place(trainer: pl.Trainer) -> str:
    """Say how far a training has come, by steps where nothing limits the epochs."""
    epoch = trainer.current_epoch + 1
    if trainer.max_epochs not in (None, -1):
        return f"epoch {epoch}/{trainer.max_epochs}"
    return f"epoch {epoch}, step {trainer.global_step}/{trainer.max_steps}"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
