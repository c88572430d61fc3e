from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from experiments.cli import main
from experiments.run.model_size import describe_size
from lightning_modules.pcnn import PCNN
from lightning_modules.resnet18 import ResNet18Classifier


class Networks(nn.Module):
    def __init__(self, features: int) -> None:
        super().__init__()
        with torch.device("meta"):  # sizes alone
            self.g_f = nn.Linear(features, features, bias=False)
            self.d_p = nn.Linear(1000, 1000, bias=False)
            self.loss = nn.MSELoss()


@pytest.mark.parametrize(
    ("features", "device", "sizes", "hint"),
    [
        (5000, "cpu", "Networks has 26.0 M parameters (g_f 25.0 M, d_p 1.0 M).", True),
        (5000, "cuda", "Networks has 26.0 M parameters (g_f 25.0 M, d_p 1.0 M).", False),
        (100, "cpu", "Networks has 1.0 M parameters (g_f 0.010 M, d_p 1.0 M).", False),
    ],
)
def test_sizes_and_on_a_cpu_what_to_do(features: int, device: str, sizes: str, hint: bool) -> None:
    lines = describe_size(Networks(features), device)
    assert lines[0] == sizes
    assert ("experiments/presets/laptop.yaml" in "".join(lines[1:])) is hint


def test_an_answer_is_counted_and_leaves_the_model_as_it_is() -> None:
    model = PCNN()
    model.network.layer4.eval()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    lines = describe_size(model, "cpu")
    assert lines[:2] == [
        "PCNN has 25.9 M parameters (network 25.9 M).",
        "An image of 3x224x224 costs it 3.68 GMACs.",
    ]
    assert "experiments/presets/pcnn_laptop.yaml" in lines[2]
    assert [module.training for module in model.modules()] == modes
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name])


def test_multiplications_are_those_of_one_image() -> None:
    small = ResNet18Classifier(8, 48, "pooled", 16)
    assert describe_size(small, "cpu")[1] == "An image of 3x48x48 costs it 0.0205 GMACs."


def test_it_is_said_before_the_data_are_looked_at(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["fit", "--config=tiny.yaml", "--data.root=nowhere", "--model.width=2000"])
    said = capfd.readouterr().err
    assert said.index("TinyGAN has 0.0") < said.index("nowhere does not exist")
