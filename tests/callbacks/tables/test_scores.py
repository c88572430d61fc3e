from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch.loggers import WandbLogger

from callbacks.tables.scores import ScoreTable
from datamodules.errors import UserError
from tests.callbacks.fakes import FaceData, FaceModule, FakeData, FakeModule, trainer


class Scored(FaceModule):
    def __init__(self, scores: dict[str, float]) -> None:
        super().__init__()
        self.scores = scores

    def on_test_epoch_end(self) -> None:
        self.log_dict({f"test/{name}": value for name, value in self.scores.items()})


class JapaneseWomen(FaceData):
    test_subjects = ("KA", "KL")


def summary_of(folder: Path, scores: dict[str, float], data: FaceData) -> dict[str, Any]:
    trainer(folder, ScoreTable()).test(Scored(scores), datamodule=data, verbose=False)
    found: dict[str, Any] = json.loads((folder / "summary.json").read_text())
    return found


def cells(printed: str, row: str) -> list[str]:
    (line,) = (line for line in printed.splitlines() if line.strip("│ ").startswith(row))
    return [cell.strip() for cell in line.strip("│").split("│")]


def test_expressions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scores = {
        "accuracy": 0.625,
        "occlusion_accuracy": 0.5,
        "recall_neutral": 0.75,
        "recall_surprise": float("nan"),
        "auc_neutral": 0.875,
        "auc": 0.875,
    }
    summary = summary_of(tmp_path, scores, FaceData())
    assert summary["scores"] == {"accuracy": 0.625, "occlusion_accuracy": 0.5, "auc": 0.875}
    assert summary["classes"] == {
        "neutral": {"recall": 0.75, "auc": 0.875},
        "surprise": {"recall": None},
    }
    assert (summary["data"], summary["n_test"], summary["n_test_subjects"]) == (
        "synthetic",
        30,
        None,
    )
    printed = capsys.readouterr().out
    assert "synthetic" in printed
    assert "people unknown" in printed
    assert cells(printed, "occlusion accuracy") == ["occlusion accuracy", "50.0 %"]
    assert cells(printed, "neutral") == ["neutral", "75.0 %", "0.875"]
    assert cells(printed, "surprise") == ["surprise", "-", "-"]


def test_action_units(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scores = {"auc_au1": 0.5, "auc_au12": 0.75, "support_au12": 9.0, "base_rate_au12": 0.3}
    summary = summary_of(tmp_path, {**scores, "units": 2.0}, JapaneseWomen())
    assert summary["classes"]["au1"] == {"auc": 0.5}  # and not that of 11 or 12
    assert summary["n_test_subjects"] == 2
    printed = capsys.readouterr().out
    assert cells(printed, "AU12") == ["AU12", "0.750", "9", "30.0 %"]
    assert cells(printed, "units") == ["units", "2"]


def test_a_method_without_scores_is_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="found no test/<measure>"):
        trainer(tmp_path, ScoreTable()).test(FakeModule(), datamodule=FakeData(), verbose=False)


def test_the_tables_go_to_wandb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Told(WandbLogger):
        def __init__(self) -> None:
            self.tables: list[Any] = []

        def log_table(self, key: str, columns: Any = None, data: Any = None, **_: Any) -> None:
            self.tables.append((key, columns, data))

    logger = Told()
    runner = trainer(tmp_path, ScoreTable())
    summary = {"scores": {"accuracy": 0.625}, "classes": {"neutral": {"recall": 0.75}}}
    monkeypatch.setattr(type(runner), "loggers", [logger])
    monkeypatch.setattr(ScoreTable, "measures", lambda *_: summary)
    runner.datamodule = FaceData()  # type: ignore[attr-defined]
    ScoreTable().on_test_end(runner, FaceModule())
    assert logger.tables == [
        ("test/scores", ["measure", "all samples"], [["accuracy", "62.5 %"]]),
        ("test/classes", ["class", "recall"], [["neutral", "75.0 %"]]),
    ]


class Known(FaceData):
    """Knows the sex of thirty faces, and no age of any."""

    def groups(self, sample_ids: list[int]) -> dict[str, list[str]]:
        return {
            "sex": ["male" if number < 10 else "female" for number in sample_ids],
            "age": [""] * len(sample_ids),
        }


def test_groups_are_told_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runner = trainer(tmp_path, ScoreTable(groups=True))
    runner.test(Scored({"accuracy": 0.9}), datamodule=Known(), verbose=False)
    groups = json.loads((tmp_path / "summary.json").read_text())["groups"]
    # Every tenth is read wrongly: one of ten and two of twenty.
    assert groups["sex"]["male"]["n"] == 10
    assert groups["sex"]["male"]["mean"] == groups["sex"]["female"]["mean"] == 0.9
    assert groups["sex"]["female"]["low"] == pytest.approx(0.6990, abs=1e-4)
    assert groups["sex"]["female"]["high"] == pytest.approx(0.9721, abs=1e-4)
    assert groups["age"] == {"unknown": groups["age"]["unknown"]}
    assert cells(capsys.readouterr().out, "sex: male")[1:3] == ["10", "90.0 %"]


def test_groups_that_nobody_knows_are_refused_before_the_test(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="says nothing of its people"):
        trainer(tmp_path, ScoreTable(groups=True)).test(
            Scored({"accuracy": 0.9}), datamodule=FaceData(), verbose=False
        )
    assert not (tmp_path / "summary.json").exists()
