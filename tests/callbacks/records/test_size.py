from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from callbacks.records.costs import read_costs
from callbacks.records.size import Size, count
from lightning_modules.resnet18 import ResNet18Classifier
from tests.callbacks.fakes import FakeData, FakeModule, trainer


class Classifier(FakeModule):
    """Answers by a network; another one takes part in its training alone."""

    example_input_array = torch.zeros(4, 3, 6, 6)

    def __init__(self) -> None:
        super().__init__()
        self.network = nn.Sequential(
            nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4 * 36, 5)
        )
        self.discriminator = nn.Linear(100, 100)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.network(x)
        return found


def test_what_takes_part_in_an_answer_is_counted(tmp_path: Path) -> None:
    module = Classifier()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    trainer(tmp_path, Size()).test(module, FakeData())
    parameters = 1 + (3 * 4 * 9 + 4) + (4 + 4) + (4 * 36 * 5 + 5)  # one is that of FakeModule
    assert json.loads((tmp_path / "size.json").read_text()) == {
        "parameters_m": parameters / 1e6,
        "size_mb": 4 * parameters / 1e6,
        "macs_g": (36 * 4 * 3 * 9 + 4 * 36 * 5) / 1e9,
    }
    for name, tensor in module.state_dict().items():
        assert torch.equal(tensor, before[name])


def test_a_method_without_an_example_is_left_alone(tmp_path: Path) -> None:
    trainer(tmp_path, Size()).test(FakeModule(), FakeData())
    assert not (tmp_path / "size.json").exists()


def test_macs_are_those_of_the_layers() -> None:
    model = ResNet18Classifier(1000)
    assert count(model, torch.zeros(1, 3, 224, 224)).macs == 1_814_073_344
    assert model.training


def test_costs_are_those_that_are_known(tmp_path: Path) -> None:
    assert read_costs(tmp_path) == {}
    (tmp_path / "latency.json").write_text('{"median_ms": 5.0}')
    assert read_costs(tmp_path) == {"latency_ms": 5.0, "items_per_second": 200.0}
    (tmp_path / "size.json").write_text('{"macs_g": 3.5, "parameters_m": 25.5, "size_mb": 102.0}')
    assert read_costs(tmp_path)["parameters_m"] == pytest.approx(25.5)
