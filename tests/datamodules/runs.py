"""Runs of a module that only writes down what it is given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch

from datamodules.sets.snap2dfe import SNaP2DFeDataModule


def make(root: Path, cache: Path, **kwargs: Any) -> SNaP2DFeDataModule:
    arguments = {"size": 16, "crop": "none", "batch_size": 4, "fold_mode": "stride"}
    return SNaP2DFeDataModule(root=str(root), cache_dir=str(cache), **{**arguments, **kwargs})


class Recorder(pl.LightningModule):
    """Writes down which samples it saw, and with which values."""

    def __init__(self, kind: str = "posed_flow") -> None:
        super().__init__()
        self.kind = kind
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen: list[tuple[int, ...]] = []
        self.sums: list[float] = []

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> torch.Tensor:
        self.seen.append((self.current_epoch, *batch["sample_id"].tolist()))
        self.sums.append(float(batch[self.kind].sum()))
        return (self.weight - batch[self.kind].mean()) ** 2

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        self.log("val/x", batch[self.kind].mean())

    def test_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        self.seen.append(tuple(batch["sample_id"].tolist()))

    def predict_step(self, batch: dict[str, Any], batch_idx: int) -> Any:
        return batch

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)


class Saver(pl.Callback):
    """Saves after each batch and each epoch."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        trainer.save_checkpoint(self.folder / f"step={trainer.global_step}.ckpt")

    def on_train_epoch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        trainer.save_checkpoint(self.folder / f"epoch={trainer.current_epoch}.ckpt")


def trainer(folder: Path, **kwargs: Any) -> pl.Trainer:
    arguments = {
        "accelerator": "cpu",
        "logger": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "use_distributed_sampler": False,
        "num_sanity_val_steps": 0,
        "default_root_dir": str(folder),
        "max_epochs": 1,
    }
    return pl.Trainer(**{**arguments, "enable_checkpointing": False, **kwargs})
