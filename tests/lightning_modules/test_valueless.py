"""From the loader to the last optimizer, no training step waits for the device."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback
from torch import Tensor

from callbacks.training.acceleration import Acceleration
from callbacks.training.nan_guard import NaNGuard
from callbacks.training.step_seed import StepSeed
from callbacks.training.weight_average import WeightAverage
from callbacks.training.zero_rate import ZeroRate
from datamodules.batch import FaceBatch
from lightning_modules.resnet18 import ResNet18Classifier
from tests.datamodules.runs import trainer
from tests.lightning_modules.methods import METHODS, Pair, face_data, judge_at_once, write_data
from tests.lightning_modules.valueless import (
    META,
    EndOfEpochError,
    OnValuelessDevice,
    WaitingError,
    no_waiting,
    without_values,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("data"))


@pytest.mark.parametrize("method", METHODS)
def test_no_training_step_waits(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    method: Callable[[Path], Pair],
) -> None:
    judge_at_once(monkeypatch)
    module, data = method(folder)
    device = OnValuelessDevice()
    callbacks = [StepSeed(0), NaNGuard(), ZeroRate(), Acceleration(channels_last=True)]
    if module.automatic_optimization:
        callbacks.append(WeightAverage())
    runner = trainer(tmp_path, callbacks=[*callbacks, device], limit_val_batches=0)
    with without_values(monkeypatch), pytest.raises(EndOfEpochError):
        runner.fit(module, datamodule=data)
    assert device.steps == runner.num_training_batches > 1
    assert {value.device for value in runner.callback_metrics.values()} == {META}


class NoSynchronisation(Callback):
    """Lets CUDA refuse to wait from the end of the first step on."""

    def on_train_batch_end(self, *_: Any) -> None:
        torch.cuda.set_sync_debug_mode("error")

    def on_train_epoch_end(self, *_: Any) -> None:
        torch.cuda.set_sync_debug_mode("default")

    def on_exception(self, *_: Any) -> None:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.gpu
@pytest.mark.parametrize("method", METHODS)
def test_cuda_sees_no_step_wait(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    method: Callable[[Path], Pair],
) -> None:
    judge_at_once(monkeypatch)
    module, data = method(folder)
    preset = Acceleration(channels_last=True, fused=True)
    callbacks = [StepSeed(0), preset, NoSynchronisation()]
    runner = trainer(tmp_path, accelerator="gpu", callbacks=callbacks, limit_val_batches=0)
    runner.fit(module, datamodule=data)
    assert runner.global_step > 1


def test_a_step_that_reads_its_loss_waits(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Reading(ResNet18Classifier):
        def training_step(self, batch: FaceBatch, batch_idx: int) -> dict[str, Tensor]:
            losses = super().training_step(batch, batch_idx)
            return losses if losses["loss"] > 0 else {}

    runner = trainer(tmp_path, callbacks=[OnValuelessDevice()], limit_val_batches=0)
    with without_values(monkeypatch), pytest.raises(RuntimeError, match="item"):
        runner.fit(Reading(size=48, width=4), datamodule=face_data(folder, size=48))


@pytest.mark.parametrize(
    "reads",
    [
        lambda value: value.sum().item(),
        lambda value: bool(value.any()),
        lambda value: int(value.argmax()),
        lambda value: value.tolist(),
        lambda value: value.cpu(),
        lambda value: value.to("cpu", non_blocking=True),
        lambda value: value.numpy(),
        lambda value: value.nonzero(),
        lambda value: value[value > 0],
        lambda value: value.masked_select(value > 0),
        lambda value: torch.equal(value, value),
        lambda value: value.unique(),
        lambda value: value[torch.tensor([True, False, True])],
        lambda value: value.repeat_interleave(torch.ones_like(value, dtype=torch.int64)),
        lambda value: value.new_tensor([1.0]),
        lambda value: torch.tensor([1.0], device=value.device),
        lambda value: torch.ones(3).to(value.device),
        lambda value: value.copy_(torch.ones(3)),
    ],
)
def test_what_waits_is_an_error(reads: Callable[[Tensor], Any]) -> None:
    value = torch.zeros(3, device=META)
    with no_waiting(), pytest.raises((WaitingError, RuntimeError, TypeError)):
        reads(value)


def test_what_does_not_wait_is_none() -> None:
    value = torch.zeros(3, device=META)
    with no_waiting():
        sent = torch.ones(3).to(META, non_blocking=True)
        value.copy_(torch.ones(3), non_blocking=True)
        chosen = value.index_select(0, torch.tensor([0, 2]).to(META, non_blocking=True))
        result = torch.where(value > 0, 2 * sent + torch.tensor(1.0), 1.0)
    assert (chosen.shape, result.device) == ((2,), META)
