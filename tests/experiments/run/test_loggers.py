from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import Any

import pytest
import wandb
from wandb.sdk.lib import RunDisabled

from experiments.run.loggers import MetricsCSV, RunWandbLogger, wandb_logger
from experiments.run.wandb_run import WandbIdentity, close_wandb


def rows(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / "metrics.csv").read_text().splitlines()))


def test_columns_grow_and_rows_stay(tmp_path: Path) -> None:
    logger = MetricsCSV(tmp_path)
    logger.log_metrics({"train/g": 1.0}, 0)
    logger.log_metrics({"train/g": 2.0}, 1)
    logger.log_metrics({"val/x": 3.0}, 1)
    # Another process: a resumed training, or a test.
    MetricsCSV(tmp_path).log_metrics({"test/x": 4.0, "train/g": 5.0}, 2)
    assert rows(tmp_path) == [
        {"step": "0", "train/g": "1.0", "val/x": "", "test/x": ""},
        {"step": "1", "train/g": "2.0", "val/x": "", "test/x": ""},
        {"step": "1", "train/g": "", "val/x": "3.0", "test/x": ""},
        {"step": "2", "train/g": "5.0", "val/x": "", "test/x": "4.0"},
    ]


def test_a_line_cut_short_by_a_kill_costs_that_line_only(tmp_path: Path) -> None:
    logger = MetricsCSV(tmp_path)
    logger.log_metrics({"a": 1.0, "b": 1.5}, 0)
    with (tmp_path / "metrics.csv").open("a") as file:
        file.write("1,2.")
    logger.log_metrics({"a": 3.0, "b": 3.5}, 2)
    assert [row["b"] for row in rows(tmp_path)] == ["1.5", None, "3.5"]
    logger.log_metrics({"c": 4.0}, 3)
    assert [row["c"] for row in rows(tmp_path)] == ["", "", "", "4.0"]


def test_it_says_where_it_writes(tmp_path: Path) -> None:
    logger = MetricsCSV(tmp_path / "runs" / "tiny" / "one")
    assert (logger.name, logger.version) == ("tiny", "one")
    assert logger.save_dir == str(tmp_path / "runs" / "tiny" / "one")


def logger_of(folder: Path, mode: Any = "offline") -> RunWandbLogger:
    return wandb_logger(folder, mode, WandbIdentity("0a1b2c3d", "g", "train", "n", ("t",)))


@pytest.mark.parametrize("error", [OSError("Read-only file system"), wandb.Error("unreachable")])
def test_a_failure_of_wandb_warns_once_and_ends_nothing(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    error: Exception,
) -> None:
    def fail(**settings: Any) -> None:
        raise error

    monkeypatch.setattr(wandb, "init", fail)
    logger = logger_of(tmp_path)
    assert isinstance(logger.experiment, RunDisabled)
    said = capfd.readouterr().err
    assert said.startswith("W&B could not start (")
    assert str(error) in said
    logger.log_metrics({"a": 1.0}, 0)
    logger.log_hyperparams({"a": 1})
    logger.finalize("success")
    assert capfd.readouterr().err == ""
    close_wandb()


def test_a_failure_in_the_middle_ends_nothing_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    class Broken:
        id = "0a1b2c3d"

        def log(self, values: Any) -> None:
            raise BrokenPipeError("the service is gone")

    monkeypatch.setattr(wandb, "init", lambda **settings: Broken())
    logger = logger_of(tmp_path)
    logger.log_metrics({"a": 1.0}, 0)
    logger.log_metrics({"a": 1.0}, 1)
    assert capfd.readouterr().err.count("W&B could not log (BrokenPipeError: the service") == 1
    close_wandb()


def test_what_wandb_is_started_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[dict[str, Any]] = []
    monkeypatch.setattr(wandb, "init", lambda **settings: started.append(settings) or RunDisabled())
    monkeypatch.delenv("WANDB_CACHE_DIR", raising=False)
    monkeypatch.setenv("WANDB_DATA_DIR", "mine")
    _ = logger_of(tmp_path).experiment
    settings = started[0]
    assert settings["mode"] == "offline"
    assert settings["dir"] == str(tmp_path)
    assert (settings["id"], settings["group"], settings["resume"]) == ("0a1b2c3d", "g", "allow")
    assert settings["project"] == "fer-lightning"
    assert "anonymous" not in settings
    assert os.environ["WANDB_CACHE_DIR"] == os.environ["WANDB_CONFIG_DIR"]
    assert os.environ["WANDB_CACHE_DIR"] == str(tmp_path / "wandb")
    assert os.environ["WANDB_DATA_DIR"] == "mine"
    close_wandb()
    assert "WANDB_CACHE_DIR" not in os.environ
    assert os.environ["WANDB_DATA_DIR"] == "mine"

    # Online the person's own settings are needed, and in a sweep its id.
    monkeypatch.setenv("WANDB_SWEEP_ID", "s")
    _ = logger_of(tmp_path, "online").experiment
    assert "WANDB_CONFIG_DIR" not in os.environ
    assert started[1]["id"] is None
    close_wandb()
