"""What the preset of a GPU changes, layout and precision, changes no loss by more than rounding."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from callbacks.training.acceleration import Acceleration
from callbacks.training.step_seed import StepSeed
from tests.datamodules.runs import trainer
from tests.lightning_modules.methods import METHODS, Pair, judge_at_once, write_data


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("data"))


def losses(
    method: Callable[[Path], Pair], folder: Path, *, channels_last: bool = False, **options: Any
) -> dict[str, torch.Tensor]:
    """Return every term of a training step."""
    torch.manual_seed(0)
    module, data = method(folder)
    for layer in module.modules():
        if isinstance(layer, nn.Dropout):  # its draws depend on the precision
            layer.p = 0.0
    runner = trainer(
        folder,
        limit_train_batches=1,
        limit_val_batches=0,
        callbacks=[StepSeed(0), Acceleration(channels_last=channels_last)],
        **options,
    )
    runner.fit(module, datamodule=data)
    return {name: value for name, value in runner.callback_metrics.items() if "train/" in name}


@pytest.mark.parametrize("method", METHODS)
def test_layout_and_bfloat16_leave_the_losses(
    folder: Path, monkeypatch: pytest.MonkeyPatch, method: Callable[[Path], Pair]
) -> None:
    judge_at_once(monkeypatch)
    expected = losses(method, folder)
    assert expected
    torch.testing.assert_close(
        losses(method, folder, channels_last=True), expected, rtol=1e-4, atol=1e-5
    )
    # Of bfloat16's 8 bits of mantissa one, 0.4 %, or two are lost on the way to a loss.
    torch.testing.assert_close(
        losses(method, folder, channels_last=True, precision="bf16-mixed"),
        expected,
        rtol=0.02,
        atol=0.005,
    )
