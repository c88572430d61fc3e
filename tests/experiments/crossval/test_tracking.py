"""A real offline W&B run, read back from its files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import wandb

from experiments.crossval.folder import CrossvalFolder
from experiments.crossval.summary import collect, summarize
from experiments.crossval.tracking import CrossvalRun, cv_metrics
from tests.experiments.crossval import made
from tests.experiments.wandb_file import read_offline_runs


@pytest.fixture
def folder(tmp_path: Path) -> CrossvalFolder:
    validation = {"val/accuracy": 0.75}
    path = made.write_crossval(tmp_path / "crossval-abcdef", [0, 1, 3], validation=validation)
    return CrossvalFolder(path)


def test_the_parent_run_has_the_numbers_in_history_and_summary(folder: CrossvalFolder) -> None:
    records, _ = collect(folder)
    description = folder.description()
    parent = CrossvalRun(folder.path, description, "offline", {"seed_everything": 0})
    parent.update(summarize(description, records[:2]))
    summary = summarize(description, records)
    parent.sum_up(summary, records)
    (run,) = read_offline_runs(folder.path)
    assert (run.run_id, run.group, run.job_type, run.name) == (
        description.wandb_id("summary"),
        "tiny-abcdef01",
        "cv-summary",
        "TinyClassifier-TinyFolds-cv-s0",
    )
    assert run.config["seed_everything"] == 0
    assert run.config["crossval"]["source"] == "synthetic"
    assert [row["cv/n_folds"] for row in run.history] == [2, 3]
    for key, value in cv_metrics(summary).items():
        assert run.history[-1][key] == value
        assert run.summary[key] == value
    assert {"cv/accuracy_mean", "cv/accuracy_std", "cv/accuracy_pooled", "cv/loss_mean"} <= {
        *run.summary
    }
    assert run.summary["cv/val_accuracy_mean"] == 0.75
    table = json.loads(next(folder.path.glob("wandb/**/cv/folds*.table.json")).read_text())
    assert [line[0] for line in table["data"]] == [0, 1, 2]
    matrix = json.loads(
        next(folder.path.glob("wandb/**/cv/confusion_matrix*.table.json")).read_text()
    )
    pooled = summary["pooled"]["confusion_matrix"]
    counts = {(actual, answer): count for actual, answer, count in matrix["data"]}
    names = summary["class_names"]
    assert counts == {
        (a, b): pooled[i][j] for i, a in enumerate(names) for j, b in enumerate(names)
    }


def test_in_a_sweep_it_is_the_sweeps_run(
    folder: CrossvalFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_SWEEP_ID", "sweep123")
    monkeypatch.setenv("WANDB_RUN_ID", "trial123")
    wandb.teardown()  # it read the environment when the process first used it
    records, _ = collect(folder)
    parent = CrossvalRun(folder.path, folder.description(), "offline", {})
    parent.sum_up(summarize(folder.description(), records), records)
    wandb.teardown()
    (run,) = read_offline_runs(folder.path)
    assert run.run_id == "trial123"
    assert run.summary["cv/accuracy_mean"] == pytest.approx(7 / 9)


def test_wandb_failing_stops_nothing(
    folder: CrossvalFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def init(**options: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr("wandb.init", init)
    records, _ = collect(folder)
    parent = CrossvalRun(folder.path, folder.description(), "offline", {})
    parent.update(summarize(folder.description(), records))
    parent.sum_up(summarize(folder.description(), records), records)
    # Said once.
    assert capsys.readouterr().err.count("W&B could not") == 1
