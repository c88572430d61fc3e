"""A training that starts from a checkpoint of another schedule goes by its own command."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from torch import nn
from torch.optim import SGD, Optimizer, lr_scheduler
from torch.utils.data import DataLoader

from callbacks.training.zero_rate import ZeroRate
from experiments.command.checkpoint_config import CommandedOptimizers
from lightning_modules.optim import TwoStepLR, WarmupCosineLR

Make = Callable[[Optimizer, int], Any]

SCHEDULES: dict[str, Make] = {
    "cosine": lambda o, n: lr_scheduler.CosineAnnealingLR(o, T_max=n),
    "warm-up": lambda o, n: WarmupCosineLR(o, epochs=n, warmup=1),
    "two steps": lambda o, n: TwoStepLR(o, 1, n - 1, 0.1),
    "exponential": lambda o, n: lr_scheduler.ExponentialLR(o, 1 / n),
    "one cycle": lambda o, n: lr_scheduler.OneCycleLR(o, 1.0, total_steps=n + 2),
    "chained": lambda o, n: lr_scheduler.ChainedScheduler(
        [lr_scheduler.LinearLR(o, 0.1, 1, n), lr_scheduler.ExponentialLR(o, 1 / n)]
    ),
    "in sequence": lambda o, n: lr_scheduler.SequentialLR(
        o, [lr_scheduler.ConstantLR(o, 0.5, 1), lr_scheduler.ExponentialLR(o, 1 / n)], [1]
    ),
}


class Line(pl.LightningModule):
    """One weight, whose learning rate of each epoch is noted."""

    def __init__(self, schedule: Make, length: int) -> None:
        super().__init__()
        self.layer = nn.Linear(1, 1)
        self.schedule, self.length = schedule, length
        self.rates: list[float] = []

    def training_step(self, batch: torch.Tensor, batch_idx: int) -> torch.Tensor:
        self.rates.append(self.optimizers().param_groups[0]["lr"])
        return self.layer(batch).square().mean()

    def configure_optimizers(self) -> Any:
        optimizer = SGD(self.parameters(), lr=1.0)
        scheduler = self.schedule(optimizer, self.length)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "monitor": "nothing", "strict": False},
        }


def train(
    module: Line, epochs: int, start: Path | None = None, *callbacks: pl.Callback
) -> pl.Trainer:
    trainer = pl.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=list(callbacks),
    )
    trainer.fit(module, DataLoader([torch.ones(1)] * 2, batch_size=2), ckpt_path=start)
    return trainer


# Lightning's loops ask for the optimizers before their first step.
@pytest.mark.filterwarnings("ignore:.*does not have many workers", "ignore:.*lr_scheduler.step")
@pytest.mark.filterwarnings("ignore:.*smaller than the logging interval")
@pytest.mark.filterwarnings("ignore:.*epoch parameter in", "ignore:.*didn't mean 'interval'")
@pytest.mark.parametrize("name", SCHEDULES)
def test_each_schedule_is_the_commands_at_the_epoch_reached(name: str, tmp_path: Path) -> None:
    whole = Line(SCHEDULES[name], 4)
    train(whole, 4)
    begun = Line(SCHEDULES[name], 2)
    train(begun, 2).save_checkpoint(tmp_path / "a.ckpt")
    gone_on = Line(SCHEDULES[name], 4)
    train(gone_on, 4, tmp_path / "a.ckpt", CommandedOptimizers())
    assert gone_on.rates == pytest.approx(whole.rates[2:])


@pytest.mark.filterwarnings("ignore:.*does not have many workers", "ignore:.*epoch parameter in")
@pytest.mark.filterwarnings("ignore:.*smaller than the logging interval")
def test_an_epoch_at_rate_0_is_said() -> None:
    with pytest.warns(UserWarning, match="Epoch 3 was trained at learning rate 0") as warned:
        train(Line(SCHEDULES["warm-up"], 2), 5, None, ZeroRate())
    assert sum("learning rate 0" in str(warning.message) for warning in warned) == 1
