from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from callbacks.training.weight_average import WeightAverage

FRESH = "ignore:.*(does not have many workers|smaller than the logging interval)"
pytestmark = pytest.mark.filterwarnings(FRESH)


class Falling(LightningModule):
    """One weight that every step lowers by one, and what validation saw of it."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))
        self.seen: list[float] = []

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        return self.weight * 1.0

    def validation_step(self, batch: list[Tensor], batch_idx: int) -> None:
        self.seen.append(self.weight.item())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=1.0)


def points() -> DataLoader[Any]:
    return DataLoader(TensorDataset(torch.zeros(2, 1)), batch_size=1)


def trainer(epochs: int, callback: WeightAverage | None) -> Trainer:
    return Trainer(
        accelerator="cpu",
        max_epochs=epochs,
        callbacks=[] if callback is None else [callback],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )


def averages(steps: int, decay: float) -> list[float]:
    """What the average is after each step, by hand: the first one is taken as it is."""
    average, found = -1.0, [-1.0]
    for step in range(1, steps):
        share = min(decay, (1 + step) / (10 + step))
        average = share * average + (1 - share) * -(step + 1)
        found.append(average)
    return found


@pytest.mark.parametrize("decay", [0.9, 0.25])
def test_validation_and_the_end_have_the_average(decay: float) -> None:
    module = Falling()
    trainer(3, WeightAverage(decay)).fit(module, points(), points())
    expected = averages(6, decay)
    assert module.seen[::2] == pytest.approx([expected[1], expected[3], expected[5]])
    assert module.weight.item() == pytest.approx(expected[-1])


def test_a_resumed_training_goes_on_with_both(tmp_path: Path) -> None:
    whole = Falling()
    trainer(3, WeightAverage(0.9)).fit(whole, points(), points())

    class Keep(WeightAverage):
        def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
            super().on_train_epoch_end(trainer, pl_module)
            if trainer.current_epoch == 0:
                trainer.save_checkpoint(tmp_path / "last.ckpt")

    trainer(3, Keep(0.9)).fit(Falling(), points(), points())
    saved = torch.load(tmp_path / "last.ckpt", weights_only=True)
    assert saved["state_dict"]["weight"].item() == pytest.approx(averages(2, 0.9)[-1])
    assert saved["current_model_state"]["weight"].item() == -2
    resumed = Falling()
    again = trainer(3, Keep(0.9))
    again.fit(resumed, points(), points(), ckpt_path=tmp_path / "last.ckpt", weights_only=True)
    assert torch.equal(resumed.weight, whole.weight)
    # A test takes the average from it, and says nothing.
    tested = Falling()
    trainer(1, Keep(0.9)).validate(
        tested, points(), ckpt_path=tmp_path / "last.ckpt", verbose=False, weights_only=True
    )
    assert tested.weight.item() == pytest.approx(averages(2, 0.9)[-1])


@pytest.mark.parametrize("decay", [0.0, 1.0])
def test_a_decay_that_is_none_is_named(decay: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1, got"):
        WeightAverage(decay)


def test_no_tensor_waits_for_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """A number that is asked for as Python's own stops the queue of an accelerator."""
    module = Falling()
    module.further = nn.ParameterList(torch.zeros(2) for _ in range(50))
    asked: list[int] = []
    read = Tensor.__int__
    monkeypatch.setattr(Tensor, "__int__", lambda tensor: asked.append(1) or read(tensor))
    trainer(3, WeightAverage(0.9)).fit(module, points(), points())
    assert len(asked) < 50


def test_counters_are_averaged_as_whole_numbers() -> None:
    module, callback = Falling(), WeightAverage(0.5)
    module.register_buffer("counter", torch.tensor([10]))
    callback.setup(trainer(1, None), module, "fit")
    module.counter.fill_(20)
    callback._steps = 100
    callback._update(module)
    average: Any = callback._average_model
    assert average.module.counter.tolist() == [15]
