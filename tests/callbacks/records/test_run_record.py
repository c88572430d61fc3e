from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
import yaml

from callbacks.records.run_record import RunRecord

CONFIG = {"seed_everything": 0, "model": {"init_args": {"width": 4, "betas": [0.9, 0.999]}}}
MODULE: Any = None


class Logger:
    def __init__(self) -> None:
        self.params: dict[str, Any] = {}

    def log_hyperparams(self, params: dict[str, Any]) -> None:
        self.params = params


def trainer(folder: Path, *loggers: Logger, first: bool = True) -> Any:
    return cast(
        Any,
        SimpleNamespace(
            is_global_zero=first,
            default_root_dir=str(folder),
            datamodule=SimpleNamespace(source="synthetic", manifest_hash="abc"),
            strategy=SimpleNamespace(root_device=torch.device("cpu")),
            world_size=1,
            loggers=list(loggers),
        ),
    )


def test_a_training_writes_config_and_environment_and_tells_the_loggers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    logger = Logger()
    command = ["fit", "--data.root=/home/somebody/snap"]
    RunRecord(CONFIG, command, "fit").setup(trainer(tmp_path, logger), MODULE, "fit")
    assert yaml.safe_load((tmp_path / "config.yaml").read_text()) == CONFIG
    environment = json.loads((tmp_path / "environment.json").read_text())
    assert environment["command"] == ["fit", "--data.root=~/snap"]
    assert environment["data"] == {"source": "synthetic", "manifest_hash": "abc"}
    assert environment["versions"]["torch"] == torch.__version__
    assert "somebody" not in json.dumps(environment)
    del environment["command"]  # which stays on this machine
    assert logger.params == {**CONFIG, "environment": environment}


def test_a_test_in_the_same_folder_leaves_them_alone(tmp_path: Path) -> None:
    RunRecord(CONFIG, ["fit"], "fit").setup(trainer(tmp_path), MODULE, "fit")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    RunRecord({"a": 1}, ["test"], "test").setup(trainer(tmp_path), MODULE, "test")
    assert yaml.safe_load((tmp_path / "config.test.yaml").read_text()) == {"a": 1}
    assert {name: (tmp_path / name).read_bytes() for name in before} == before


def test_a_test_of_a_checkpoint_from_elsewhere_writes_its_own(tmp_path: Path) -> None:
    RunRecord({"a": 1}, ["test"], "test").setup(trainer(tmp_path), MODULE, "test")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.yaml", "environment.json"]


def test_only_the_first_process_writes(tmp_path: Path) -> None:
    RunRecord(CONFIG, ["fit"], "fit").setup(trainer(tmp_path, first=False), MODULE, "fit")
    assert not list(tmp_path.iterdir())


def test_a_checkpoint_carries_the_config_as_plain_values(tmp_path: Path) -> None:
    checkpoint: dict[str, Any] = {}
    RunRecord(CONFIG, ["fit"], "fit").on_save_checkpoint(trainer(tmp_path), MODULE, checkpoint)
    torch.save(checkpoint, tmp_path / "a.ckpt")
    assert torch.load(tmp_path / "a.ckpt", weights_only=True) == {"config": CONFIG}
