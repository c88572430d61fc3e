from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.callbacks import GradientAccumulationScheduler
from lightning.pytorch.strategies import SingleDeviceStrategy
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset
from torchmetrics import MeanMetric

from callbacks.training import acceleration
from callbacks.training.acceleration import Acceleration
from datamodules.errors import UserError
from tests.datamodules.runs import trainer


def _on(device: str) -> Any:
    return SimpleNamespace(strategy=SimpleNamespace(root_device=torch.device(device)))


TRAINER = _on("cpu")


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


@pytest.mark.parametrize(("device", "channels_last"), [("cpu", True), ("meta", False)])
def test_processors_compute_channels_last_unless_asked_not_to(
    device: str, channels_last: bool
) -> None:
    module = Networks()
    Acceleration(channels_last=False).setup(_on(device), module, "fit")
    assert module.first.weight.is_contiguous()
    Acceleration().setup(_on(device), module, "fit")
    assert module.first.weight.is_contiguous(memory_format=torch.channels_last) is channels_last


def test_a_layout_whose_gradients_crash_is_left_out() -> None:
    module = Networks()
    module.second.append(nn.Conv2d(8, 16, 1, stride=2))
    Acceleration(channels_last=True).setup(TRAINER, module, "fit")
    assert module.first.weight.is_contiguous(memory_format=torch.channels_last)
    assert module.second[0].weight.is_contiguous()


def test_each_network_is_compiled_in_place_once(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[nn.Module] = []
    monkeypatch.setattr(nn.Module, "compile", lambda self: compiled.append(self))
    module, callback = Networks(), Acceleration(compile=True)
    names = list(module.state_dict())
    callback.setup(TRAINER, module, "fit")
    callback.setup(TRAINER, module, "validate")
    assert compiled == [module.first, module.second]
    assert list(module.state_dict()) == names


def test_networks_whose_calls_are_recorded_compile_what_is_recorded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A compiled module would hide its ``forward``, for which the recording stands in."""
    compiled: list[Any] = []
    monkeypatch.setattr(acceleration, "_refuse_graphs", lambda trainer: None)
    monkeypatch.setattr(torch, "compile", lambda call: compiled.append(call) or call)
    module, callback = Networks(), Acceleration(compile=True, graphs=True)
    callback.setup(_on("cuda"), module, "fit")
    callback.on_train_start(SimpleNamespace(optimizers=[]), module)
    assert compiled == [module.first.forward, module.second.forward]
    assert module.first._compiled_call_impl is None


class Learning(Networks):
    def __init__(self, build: Callable[..., torch.optim.Optimizer]) -> None:
        super().__init__()
        self.build = build

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        return self.second(self.first(batch[0])).square().mean()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return self.build(self.parameters())


@pytest.mark.filterwarnings("ignore:.*(does not have many workers|smaller than the logging)")
@pytest.mark.parametrize(
    ("build", "fuses"),
    [
        (torch.optim.Adam, True),
        (torch.optim.AdamW, True),
        (partial(torch.optim.SGD, lr=0.1, momentum=0.9), True),
        (torch.optim.Adamax, False),
    ],
)
def test_fused_optimizers_end_where_others_do(
    tmp_path: Path, build: Callable[..., torch.optim.Optimizer], fuses: bool
) -> None:
    """From the start, and from a checkpoint of a run without."""

    def trained(epochs: int, fused: bool, checkpoint: Path | None = None) -> Learning:
        torch.manual_seed(0)
        module, images = Learning(build), torch.randn(4, 3, 8, 8)
        runner = trainer(tmp_path, max_epochs=epochs, callbacks=[Acceleration(fused=fused)])
        loader = DataLoader(TensorDataset(images), batch_size=2)
        runner.fit(module, loader, ckpt_path=checkpoint)
        runner.save_checkpoint(tmp_path / f"{epochs}-{fused}.ckpt")
        group = runner.optimizers[0].param_groups[0]
        assert bool(group.get("fused")) is (fused and fuses)
        return module

    expected = trained(3, fused=False).state_dict()
    torch.testing.assert_close(trained(3, fused=True).state_dict(), expected)
    trained(1, fused=False)
    resumed = trained(3, fused=True, checkpoint=tmp_path / "1-False.ckpt")
    torch.testing.assert_close(resumed.state_dict(), expected)


def test_graphs_are_refused_where_they_cannot_be(tmp_path: Path) -> None:
    def refused(match: str, **options: Any) -> None:
        runner = trainer(tmp_path, **options)
        strategy = runner.strategy
        if isinstance(strategy, SingleDeviceStrategy) and "computes" not in match:
            strategy._root_device = torch.device("cuda")
        with pytest.raises(UserError, match=match):
            Acceleration(graphs=True).setup(runner, Networks(), "fit")

    refused("computes on cpu: give --acceleration.graphs false")
    refused("accumulate_grad_batches", accumulate_grad_batches=2)
    refused("accumulate_grad_batches", callbacks=[GradientAccumulationScheduler({0: 1, 4: 2})])
    refused("detect_anomaly", detect_anomaly=True)
    runner = trainer(tmp_path)
    Acceleration(graphs=True).setup(runner, Networks(), "test")
    runner.strategy._root_device = torch.device("cuda")  # type: ignore[attr-defined]
    Acceleration(graphs=True).setup(runner, Networks(), "fit")
    runner.datamodule = SimpleNamespace(num_workers=2)  # type: ignore[attr-defined]
    with pytest.raises(UserError, match=r"data\.num_workers is 2"):
        Acceleration(graphs=True).setup(runner, Networks(), "fit")


def test_graphs_are_refused_on_several_devices(tmp_path: Path) -> None:
    runner = trainer(tmp_path, strategy="ddp", devices=2)
    runner.strategy.parallel_devices = [torch.device("cuda", index) for index in range(2)]
    with pytest.raises(UserError, match="for one device, and the trainer has 2"):
        Acceleration(graphs=True).setup(runner, Networks(), "fit")


def test_networks_are_recorded_in_steps_and_nowhere_else() -> None:
    module, callback = Networks(), Acceleration(graphs=True)
    callback.on_train_start(TRAINER, module)
    for _ in range(2):
        callback.on_train_batch_start(TRAINER, module, None, 0)
        assert "forward" in module.first.__dict__
        assert "forward" in module.second.__dict__
        assert "forward" not in module.metric.__dict__
        callback.on_train_batch_end(TRAINER)
        assert "forward" not in module.first.__dict__
    callback.on_train_batch_start(TRAINER, module, None, 0)
    callback.on_train_end(TRAINER, module)
    assert "forward" not in module.first.__dict__
    callback.on_train_batch_start(TRAINER, module, None, 0)
    assert "forward" not in module.first.__dict__
