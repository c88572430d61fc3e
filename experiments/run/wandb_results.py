"""What W&B gets at the end of a training or a test: the best values, and files as artifacts."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any, Literal

import lightning.pytorch as pl
import wandb

from callbacks.records.fold_record import PREDICTIONS_FILE
from callbacks.records.predictions import writes_predictions
from experiments.command.console import say
from experiments.run.checkpoints import RunCheckpoints
from experiments.run.loggers import RunWandbLogger

Artifacts = Literal["none", "predictions", "all"]


class WandbResults(pl.Callback):
    """Sends the best monitored value of the whole training, and the artifacts that are wanted.

    Args:
        artifacts: Nothing, the predictions of a test as a table, or these and `best.ckpt`.
            Offline, W&B keeps a copy of each below the run folder until it is sent.
    """

    def __init__(self, artifacts: Artifacts) -> None:
        self.artifacts = artifacts

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Send the best value, that of before a resume too, and the checkpoint."""
        kept = trainer.checkpoint_callback
        if not isinstance(kept, RunCheckpoints) or kept.best_score is None:
            return
        best = {kept.monitor: {kept.mode: kept.best_score}}
        for logger in _loggers(trainer):
            # W&B itself knows the best since the last resume.
            logger.attempt(lambda run: run.summary.update(best))
            if self.artifacts == "all" and trainer.is_global_zero:
                self._send_checkpoint(logger, Path(trainer.default_root_dir))

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Send the predictions."""
        wanted = self.artifacts != "none" and writes_predictions(trainer)
        if not wanted or not trainer.is_global_zero:
            return
        path = Path(trainer.default_root_dir, PREDICTIONS_FILE)
        with path.open(newline="", encoding="utf-8") as file:
            columns, *rows = csv.reader(file)

        def send(run: Any) -> None:
            artifact = wandb.Artifact(f"predictions-{run.id}", type="predictions")
            artifact.add(wandb.Table(columns=[*columns], data=rows), "predictions")
            run.log_artifact(artifact)

        for logger in _loggers(trainer):
            say(f"W&B gets {path.name} as an artifact, {_megabytes(path)}.")
            logger.attempt(send)

    def _send_checkpoint(self, logger: RunWandbLogger, folder: Path) -> None:
        path = folder / "checkpoints" / "best.ckpt"

        def send(run: Any) -> None:
            artifact = wandb.Artifact(f"model-{run.id}", type="model")
            artifact.add_file(str(path), name=path.name)
            run.log_artifact(artifact, aliases=["best"])

        say(f"W&B gets {path.name} as an artifact, {_megabytes(path)}.")
        logger.attempt(send)


def _loggers(trainer: pl.Trainer) -> list[RunWandbLogger]:
    return [logger for logger in trainer.loggers if isinstance(logger, RunWandbLogger)]


def _megabytes(path: Path) -> str:
    return f"{path.stat().st_size / 1e6:.1f} MB"
