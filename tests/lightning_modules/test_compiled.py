"""What `--acceleration.compile` compiles is what a training step runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from callbacks.training.acceleration import Acceleration
from tests.datamodules.runs import trainer
from tests.lightning_modules.methods import METHODS, Pair, judge_at_once, write_data


@pytest.mark.parametrize("method", METHODS)
def test_each_network_that_learns_is_entered_where_it_was_compiled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: Callable[[Path], Pair]
) -> None:
    entered: set[nn.Module] = set()

    def compile_(network: nn.Module) -> None:
        def call(*args: Any, **kwargs: Any) -> Any:
            entered.add(network)
            return network._call_impl(*args, **kwargs)

        network._compiled_call_impl = call  # type: ignore[assignment]  # as torch's own does

    judge_at_once(monkeypatch)
    monkeypatch.setattr(nn.Module, "compile", compile_)
    module, data = method(write_data(tmp_path))
    runner = trainer(tmp_path, callbacks=[Acceleration(compile=True)], limit_val_batches=0)
    runner.fit(module, datamodule=data)
    moved = {
        id(parameter)
        for optimizer in runner.optimizers
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    learning = [
        name
        for name, network in module.named_children()
        if any(id(parameter) in moved for parameter in network.parameters())
    ]
    assert learning
    assert [name for name in learning if getattr(module, name) not in entered] == []
