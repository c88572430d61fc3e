from __future__ import annotations

import json
import time
from pathlib import Path

import torch
from torch import Tensor

from callbacks.records.latency import Latency
from tests.callbacks.fakes import FakeData, FakeModule, trainer


class Slow(FakeModule):
    """Takes two milliseconds an answer, and ten for the first ones, as if they were compiled."""

    example_input_array = torch.zeros(4, 3)

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[int] = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(len(x))
        assert not self.training
        time.sleep(0.002 if len(self.seen) > 3 else 0.01)
        return x


def test_one_sample_at_a_time_after_the_test(tmp_path: Path) -> None:
    module = Slow()
    trainer(tmp_path, Latency()).test(module, FakeData())
    assert set(module.seen) == {1}
    told = json.loads((tmp_path / "latency.json").read_text())
    assert told["repeats"] == len(module.seen) - 3 == 15
    assert 2 <= told["low_ms"] <= told["median_ms"] <= told["high_ms"]
    assert told["low_ms"] < 8
    assert (told["samples"], told["device"]) == (1, "cpu")


def test_a_method_without_an_example_is_left_alone(tmp_path: Path) -> None:
    trainer(tmp_path, Latency()).test(FakeModule(), FakeData())
    assert not (tmp_path / "latency.json").exists()
