from __future__ import annotations

from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from torch import nn
from torchmetrics import MeanMetric

from callbacks.training.acceleration import Acceleration

TRAINER: Any = None


class Networks(pl.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3)
        self.second = nn.Sequential(nn.Conv2d(4, 2, 3))
        self.metric = MeanMetric()


def test_channels_last_changes_the_layout_and_no_value() -> None:
    module, x = Networks(), torch.randn(1, 3, 8, 8)
    before = module.second(module.first(x))
    Acceleration(channels_last=True).setup(TRAINER, module, "fit")
    assert module.first.weight.is_contiguous(memory_format=torch.channels_last)
    after = module.second(module.first(x))
    assert after.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(after, before)


def test_each_network_is_compiled_in_place_once(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[nn.Module] = []
    monkeypatch.setattr(nn.Module, "compile", lambda self: compiled.append(self))
    module, callback = Networks(), Acceleration(compile=True)
    names = list(module.state_dict())
    callback.setup(TRAINER, module, "fit")
    callback.setup(TRAINER, module, "validate")
    assert compiled == [module.first, module.second]
    assert list(module.state_dict()) == names


def test_by_default_nothing_changes() -> None:
    module = Networks()
    Acceleration().setup(TRAINER, module, "fit")
    assert module.first.weight.is_contiguous()
    assert module.first._compiled_call_impl is None
