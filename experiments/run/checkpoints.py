"""Checkpoints that are whole or not there, and from which training goes on to the last bit."""

from __future__ import annotations

import math
import os
import re
import time
from pathlib import Path
from typing import Any, Literal

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.plugins.io import CheckpointIO
from lightning.pytorch.trainer.states import TrainerFn

from datamodules.errors import UserError
from datamodules.store.replacing import replacing
from experiments.command.errors import close_match
from experiments.run.requeue import Requeue
from lightning_modules.networks.weights import read_checkpoint

_BEST = ("best_score", "best_epoch", "best_step", "validation")


class AtomicCheckpointIO(CheckpointIO):
    """Writes a checkpoint aside, forces it to the disk and puts it in place at once.

    A kill or a full disk leaves the checkpoint of before. Checkpoints are loaded with
    `weights_only`: they hold tensors and plain values, and no code.

    Args:
        read: Checkpoints that were read already, by path; each is given out once.
    """

    def __init__(self, read: dict[Path, dict[str, Any]] | None = None) -> None:
        self._read = {} if read is None else read

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | os.PathLike[str], storage_options: Any = None
    ) -> None:
        """Write a checkpoint of tensors and plain values; `storage_options` has no meaning."""
        target = Path(path)
        with replacing(target) as aside, aside.open("wb") as file:
            try:
                torch.save(checkpoint, file)
            except RuntimeError as error:
                # torch says where its archive broke off, and not that the disk was full.
                if not isinstance(error.__context__, OSError):
                    raise
                full = error.__context__
                raise OSError(full.errno, full.strerror, str(target)) from None
        # The new name itself must survive a power cut too.
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def load_checkpoint(
        self,
        path: str | os.PathLike[str],
        map_location: Any = None,
        weights_only: bool | None = None,
    ) -> dict[str, Any]:
        """Read a checkpoint, to the CPU by default and always with `weights_only`.

        Raises:
            UserError: If the file is missing, damaged or holds more than plain values.
        """
        checkpoint = self._read.pop(Path(path), None)
        if checkpoint is None or map_location is not None:
            checkpoint = read_checkpoint(Path(path), map_location or "cpu")
        if not re.match(r"\d+\.\d+", checkpoint.get("pytorch-lightning_version", "")):
            raise UserError(f"{path} was not written by lightning fit: it names no version.")
        return checkpoint

    def remove_checkpoint(self, path: str | os.PathLike[str]) -> None:
        """Remove a checkpoint."""
        Path(path).unlink(missing_ok=True)


class RunCheckpoints(Checkpoint):
    """Keeps `checkpoints/best.ckpt` and `checkpoints/last.ckpt` in the run folder.

    `best.ckpt` holds the weights of the best validation so far. `last.ckpt` is written at the end
    of every epoch, after the schedulers' step, and in between at most every so many minutes; a
    killed run goes on from it.

    It is no `ModelCheckpoint`, which under manual optimization saves by no clock, and whose
    checkpoint of an epoch's last batch is resumed without that epoch's validation and end.

    Args:
        monitor: Logged value that selects the best checkpoint, e.g. `val/epe_px`.
        mode: Whether a lower (min) or a higher (max) value is better.
        every_minutes: Time between two checkpoints within an epoch; 0 is after every batch.

    Attributes:
        best_score: Value of the best validation so far; None before the first.
        best_epoch: The epoch it was in, from 0.
        best_step: `trainer.global_step` then.
        validation: Finite values that it logged, by names such as `val/accuracy`; those of the last
            validation without a `monitor`.
    """

    def __init__(
        self,
        monitor: str | None = None,
        mode: Literal["min", "max"] = "min",
        every_minutes: float = 10.0,
    ) -> None:
        super().__init__()
        if every_minutes < 0:
            raise UserError(f"checkpoint.every_minutes must be 0 or more; got {every_minutes}.")
        self.monitor = monitor
        self.mode = mode
        self.every_minutes = every_minutes
        self.best_score: float | None = None
        self.best_epoch: int | None = None
        self.best_step: int | None = None
        self.validation: dict[str, float] = {}
        self._folder = Path()
        self._saved_at = 0.0
        self._requeue = Requeue()
        self._leaves = False

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Find the run folder."""
        self._folder = Path(trainer.default_root_dir) / "checkpoints"
        # With max_steps Lightning takes the checkpoint of an epoch's end for one within it, and
        # calls the end of that epoch, with its schedulers' steps, once more.
        trainer.fit_loop._iteration_based_training = lambda: False  # type: ignore[method-assign]

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock."""
        self._requeue.listen()
        self._saved_at = time.monotonic()

    def on_train_batch_start(self, trainer: pl.Trainer, *_: Any) -> None:
        """Leave for the queue, after the values of the batch before were logged too."""
        if self._leaves:
            self._requeue.leave()

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Save when it is time, or when the process is asked to end."""
        # Before a validation, and before the end of the epoch, saving waits for these: a resumed
        # run would leave them out.
        ends = trainer.is_last_batch or trainer.global_step == trainer.max_steps
        if ends or _validates_after(trainer, batch_idx) or _is_trial(trainer):
            return
        due = time.monotonic() - self._saved_at >= 60 * self.every_minutes
        due = due or trainer.received_sigterm or self._requeue.asked
        if trainer.strategy.reduce_boolean_decision(due, all=False):
            self._save_last(trainer)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Keep the weights if they are the best so far."""
        fitting = trainer.state.fn == TrainerFn.FITTING and not trainer.sanity_checking
        if not fitting or _is_trial(trainer):
            return
        logged = {k: float(v) for k, v in trainer.callback_metrics.items() if k.startswith("val/")}
        finite = {key: value for key, value in logged.items() if math.isfinite(value)}
        if self.monitor is None:
            self.validation = finite
            return
        if self.monitor not in trainer.callback_metrics:
            raise UserError(
                f"checkpoint.monitor is {self.monitor}, which no validation logged"
                f"{close_match(self.monitor, logged)} Logged: "
                f"{', '.join(sorted(logged)) or 'nothing'}."
            )
        score = float(trainer.callback_metrics[self.monitor])
        sign = 1 if self.mode == "min" else -1
        better = self.best_score is None or sign * score < sign * self.best_score
        # Rank zero decides: a process that saves alone would wait for the others for ever.
        if trainer.strategy.broadcast(better and math.isfinite(score)):
            self.best_score = score
            self.best_epoch, self.best_step = trainer.current_epoch, trainer.global_step
            self.validation = finite
            trainer.save_checkpoint(self._folder / "best.ckpt", weights_only=False)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save; as a `Checkpoint` this is called after the module's own end of the epoch."""
        if not _is_trial(trainer):
            self._save_last(trainer)

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Give each start the whole of `trainer.max_time`, which ended the one before."""
        checkpoint["callbacks"].pop("Timer", None)

    def state_dict(self) -> dict[str, Any]:
        """Return the best score, when it was reached and what else was logged then."""
        return {name: getattr(self, name) for name in _BEST}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over the best score."""
        # A run that starts from another run's checkpoint has no best of its own yet.
        if (self._folder / "best.ckpt").exists():
            for name in _BEST:
                setattr(self, name, state_dict[name])

    def _save_last(self, trainer: pl.Trainer) -> None:
        trainer.save_checkpoint(self._folder / "last.ckpt", weights_only=False)
        self._saved_at = time.monotonic()
        self._leaves = trainer.strategy.reduce_boolean_decision(self._requeue.asked, all=False)


def _is_trial(trainer: pl.Trainer) -> bool:
    """Whether this is a `fast_dev_run`, which leaves nothing behind."""
    return bool(getattr(trainer, "fast_dev_run", False))


def _validates_after(trainer: pl.Trainer, batch_idx: int) -> bool:
    every = trainer.val_check_batch
    if trainer.check_val_every_n_epoch is None:
        batch_idx = trainer.fit_loop.total_batch_idx
    return isinstance(every, int) and (batch_idx + 1) % every == 0
