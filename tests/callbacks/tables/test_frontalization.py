from __future__ import annotations

import io
import json
import math
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from callbacks.tables.frontalization import MEASURES, ROWS, FrontalizationTable
from tests.callbacks.fakes import FakeData, FakeModule, trainer

NUMBERS = {
    "posed": (4.0, 0.5, 0.7, 20.0),
    "registration": (3.0, 0.625, 0.75, 15.0),
    "emotion_gan": (1.0, 0.875, 0.9375, 10.0),
    "frontal": (0.0, 0.9375, 0.96875, 5.0),
}


def logged() -> dict[str, float]:
    keys = {
        f"test/{row}_{measure}": value
        for row, values in NUMBERS.items()
        for measure, value in zip(MEASURES, values, strict=True)
    }
    return {**keys, "test/neutral_ssim": 0.875, "test/neutral_rmse": 12.0}


def run(folder: Path, metrics: dict[str, float]) -> dict[str, Any]:
    runner = trainer(folder, FrontalizationTable())
    runner.test(FakeModule(metrics), datamodule=FakeData(), verbose=False)
    summary: dict[str, Any] = json.loads((folder / "summary.json").read_text())
    return summary


def test_summary_holds_what_was_logged(tmp_path: Path) -> None:
    summary = run(tmp_path, logged())
    assert summary == {
        "data": "synthetic",
        "rows": {row: dict(zip(MEASURES, values, strict=True)) for row, values in NUMBERS.items()},
        "neutral_face": {"ssim": 0.875, "rmse": 12.0},
        "seed": 7,
        "fold": 2,
        "n_test": 12,
        "n_test_subjects": 3,
        "checkpoint": None,
    }


def test_what_was_not_measured_is_null(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    metrics = {key: value for key, value in logged().items() if "registration" not in key}
    metrics["test/posed_accuracy"] = math.nan
    summary = run(tmp_path, metrics)
    assert summary["rows"]["registration"] == dict.fromkeys(MEASURES)
    assert summary["rows"]["posed"]["accuracy"] is None
    (line,) = [
        line for line in capsys.readouterr().out.splitlines() if ROWS["registration"] in line
    ]
    assert line.count(" - ") == 4


def test_table_says_numbers_source_gains_and_paths(tmp_path: Path) -> None:
    summary = run(tmp_path, logged())
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "test.png").touch()
    out = io.StringIO()
    console = Console(file=out, width=80)
    FrontalizationTable().show(summary, tmp_path, console)
    text = out.getvalue()
    lines = text.splitlines()
    assert "data: synthetic" in text
    assert "seed 7, 12 test samples of 3 people" in text
    (ours,) = [line for line in lines if "eMotion-GAN " in line]
    assert [cell.strip() for cell in ours.split("│")[2:6]] == ["1.00", "87.5", "0.9375", "10.00"]
    assert "EPE: 0.25 of the posed flow's" in lines
    assert "accuracy: +37.5 points to the posed flow, -6.2 to the ceiling" in lines
    assert "SSIM: +0.0625 to the neutral face" in lines
    assert lines.count(f"picture: {tmp_path / 'figures' / 'test.png'}") == 1
    assert lines[-1] == f"run folder: {tmp_path}"


def test_another_method_is_told_apart(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="it is for eMotion-GAN"):
        run(tmp_path, {"test/accuracy": 1.0})
