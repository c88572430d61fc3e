"""A GAN and a data module of a few numbers, built as the real ones are."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor, nn
from torch.utils.data import DataLoader, Sampler, TensorDataset


class TinyGAN(pl.LightningModule):
    """Two players, two optimizers, two schedulers, dropout and batch norm.

    Args:
        width: Hidden width.
        name: Anything.
        optimizer: Of the generator.
        nan_at: Global step whose loss is NaN.
        signal_at: Global step in which the process signals itself, once: not where `SIGNALLED`
            names a file that is there.
        signal_number: Of that signal.
    """

    def __init__(
        self,
        width: int = 8,
        name: str | None = None,
        optimizer: OptimizerCallable = lambda p: torch.optim.Adam(p, lr=1e-2),
        nan_at: int = -1,
        signal_at: int = -1,
        signal_number: int = 9,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.automatic_optimization = False
        self.make_optimizer = optimizer
        self.nan_at = nan_at
        self.signal_at = signal_at
        self.signal_number = signal_number
        self.generator = nn.Sequential(nn.Linear(3, width), nn.Dropout(0.5), nn.Linear(width, 3))
        self.critic = nn.Sequential(nn.Linear(3, width), nn.BatchNorm1d(width), nn.Linear(width, 1))

    def training_step(self, batch: list[Tensor], batch_idx: int) -> dict[str, Tensor]:
        step = self.trainer.global_step
        if step == self.signal_at and not Path(os.environ["SIGNALLED"]).exists():
            Path(os.environ["SIGNALLED"]).touch()
            os.kill(os.getpid(), self.signal_number)
        first, second = self.optimizers()
        # Only the generator's steps count; set here, because Lightning resets it at every step.
        second._on_before_step = second._on_after_step = lambda: None
        x = batch[0]
        with first.toggle_model():
            loss = (self.generator(x) - x).pow(2).mean() - self.critic(self.generator(x)).mean()
            if step == self.nan_at:
                loss = loss * float("nan")
            first.zero_grad()
            self.manual_backward(loss)
            first.step()
        with second.toggle_model():
            critic = self.critic(self.generator(x).detach()).mean() - self.critic(x).mean()
            second.zero_grad()
            self.manual_backward(critic)
            second.step()
        self.log("train/g", loss.detach())
        self.log("train/d", critic.detach(), on_step=True, on_epoch=True)
        return {"x": x, "g": loss.detach(), "d": critic.detach()}  # x is no loss

    def on_train_epoch_end(self) -> None:
        for scheduler in self.lr_schedulers():
            scheduler.step()

    def validation_step(self, batch: list[Tensor], batch_idx: int) -> None:
        self.log("val/x", (self.generator(batch[0]) - batch[0]).pow(2).mean())

    def test_step(self, batch: list[Tensor], batch_idx: int) -> None:
        self.log("test/x", (self.generator(batch[0]) - batch[0]).pow(2).mean())

    def predict_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        return self.generator(batch[0])

    def configure_optimizers(self) -> Any:
        optimizers = [
            self.make_optimizer(self.generator.parameters()),
            torch.optim.SGD(self.critic.parameters(), 1e-2, momentum=0.9),
        ]
        return optimizers, [torch.optim.lr_scheduler.StepLR(o, 1, 0.5) for o in optimizers]


class OtherGAN(TinyGAN):
    """Another method."""


class BrokenGAN(TinyGAN):
    """A mistake of its programmer."""

    def training_step(self, batch: list[Tensor], batch_idx: int) -> None:
        torch.ones(2).view(3)


class TinySampler(Sampler[list[int]]):
    def __init__(self, length: int, size: int, epoch: int, start: int) -> None:
        self.length, self.size, self.epoch, self.start = length, size, epoch, start

    @property
    def sampler(self) -> TinySampler:
        return self

    def set_epoch(self, epoch: int) -> None:
        if epoch != self.epoch:
            self.epoch, self.start = epoch, 0

    def __len__(self) -> int:
        return -(-self.length // self.size)

    def __iter__(self) -> Iterator[list[int]]:
        order = torch.randperm(
            self.length, generator=torch.Generator().manual_seed(self.epoch)
        ).tolist()
        for i in range(self.start, len(self)):
            yield order[i * self.size : (i + 1) * self.size]


class TinyData(pl.LightningDataModule):
    """Twenty points.

    Args:
        root: A folder that must exist.
        batch_size: Points a batch.
        seed: Of the points.
        fold: Anything.
        num_workers: Of the loader.
    """

    source = "tiny"
    manifest_hash = "0123"

    def __init__(
        self,
        root: str | None = None,
        batch_size: int = 4,
        seed: int = 0,
        fold: int = 0,
        num_workers: int = 0,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.root, self.batch_size, self.fold, self.workers = root, batch_size, fold, num_workers
        self.points = torch.randn(20, 3, generator=torch.Generator().manual_seed(seed))
        self.place = (0, 0)

    def prepare_data(self) -> None:
        if self.root is not None and not Path(self.root).is_dir():
            raise FileNotFoundError(2, "No such folder", self.root)

    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(
            TensorDataset(self.points),
            batch_sampler=TinySampler(20, self.batch_size, *self.place),
            num_workers=self.workers,
        )

    def val_dataloader(self) -> DataLoader[Any]:
        return DataLoader(TensorDataset(self.points), batch_size=10)

    test_dataloader = val_dataloader
    predict_dataloader = val_dataloader

    def state_dict(self) -> dict[str, Any]:
        loop = self.trainer.fit_loop
        epoch, batch = self.trainer.current_epoch, loop.epoch_loop.batch_progress.current.ready
        if batch >= self.trainer.num_training_batches:
            epoch, batch = epoch + 1, 0
        return {"epoch": epoch, "batch": batch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.place = (state_dict["epoch"], state_dict["batch"])


class InterruptOnce(pl.Callback):
    """Ends a training as Ctrl-C does, where `SIGNALLED` names no file that is there.

    Args:
        batch: Batch of the second epoch that is not begun.
    """

    def __init__(self, batch: int = 1) -> None:
        self.batch = batch

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        marker = Path(os.environ["SIGNALLED"])
        if (trainer.current_epoch, batch_idx) == (1, self.batch) and not marker.exists():
            marker.touch()
            raise KeyboardInterrupt
