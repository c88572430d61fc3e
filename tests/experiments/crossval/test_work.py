from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
import torch

from experiments.command.errors import CommandError
from experiments.crossval.folder import CrossvalFolder
from experiments.crossval.work import make_slots, make_work
from tests.experiments.crossval import made


@pytest.fixture
def _four_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def test_without_devices_there_are_jobs() -> None:
    assert make_slots((), None) == [None]
    assert make_slots((), 3) == [None] * 3


@pytest.mark.usefixtures("_four_gpus")
def test_one_fold_a_device() -> None:
    assert make_slots(("0", "3"), None) == ["0", "3"]
    assert make_slots(("0", "3"), 3) == ["0", "3", "0"]
    assert make_slots(("GPU-0a1b",), None) == ["GPU-0a1b"]


@pytest.mark.usefixtures("_four_gpus")
def test_devices_count_among_those_visible(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "6,7,2,5")
    assert make_slots(("1", "3"), None) == ["7", "5"]


@pytest.mark.usefixtures("_four_gpus")
def test_a_device_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CommandError, match="names GPU 4, but this machine shows only 4"):
        make_slots(("0", "4"), None)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(CommandError, match="names GPU 0, but this machine shows none"):
        make_slots(("0",), None)


def test_how_a_fold_is_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made.write_about(tmp_path / "crossval-abcdef")
    folder = CrossvalFolder(tmp_path / "crossval-abcdef")
    monkeypatch.setenv("WANDB_SWEEP_ID", "sweep")
    work = make_work(folder, ["--config", "a.yaml"], [None, None])
    begin = [sys.executable, "-m", "experiments"]
    assert work.command(3, "fit") == [*begin, "fit", "--config", "a.yaml", "--data.fold=3"]
    fold = folder.fold(3)
    fold.checkpoints.mkdir(parents=True)
    for name in ("last", "best"):  # the best where there is one
        (fold.checkpoints / f"{name}.ckpt").touch()
        assert work.command(3, "test")[-1] == f"--ckpt_path={fold.checkpoints / name}.ckpt"
    environment = work.environment(3, None)
    assert "WANDB_SWEEP_ID" not in environment
    told = json.loads(environment["FER_LIGHTNING_FOLD"])
    assert told["folder"] == str(fold.path)
    assert told["parent"] == os.getpid()
    # The same for every start, another for every fold.
    assert told == json.loads(work.environment(3, None)["FER_LIGHTNING_FOLD"])
    other = json.loads(work.environment(2, None)["FER_LIGHTNING_FOLD"])
    assert (told["group"], len(told["wandb_id"])) == (other["group"], 8)
    assert told["wandb_id"] != other["wandb_id"]
