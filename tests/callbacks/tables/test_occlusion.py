from __future__ import annotations

import json
from pathlib import Path

import pytest

from callbacks.tables.occlusion import OcclusionTable
from tests.callbacks.fakes import FakeData, FakeModule, trainer

LOGGED = {
    "test/accuracy_clean": 0.9,
    "test/accuracy_clean_reconstructed": 0.88,
    "test/epe_px_clean_reconstructed": 0.01,
    "test/accuracy_eyes": 0.7,
    "test/accuracy_eyes_reconstructed": 0.85,
    "test/accuracy_eyes_baseline": 0.8,
    "test/epe_px_eyes": 0.4,
    "test/epe_px_eyes_reconstructed": float("nan"),
    "test/active_units": 12.0,
    "test/epe_px_mean_flow": 0.5,
}


class EyesData(FakeData):
    regions = ("eyes",)


def test_the_table_says_what_was_won_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trainer(tmp_path, OcclusionTable()).test(
        FakeModule(LOGGED), datamodule=EyesData(), verbose=False
    )
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["rows"] == {
        "clean": {
            "accuracy": 0.9,
            "accuracy_reconstructed": 0.88,
            "accuracy_baseline": None,
            "epe_px": None,
            "epe_px_reconstructed": 0.01,
        },
        "eyes": {
            "accuracy": 0.7,
            "accuracy_reconstructed": 0.85,
            "accuracy_baseline": 0.8,
            "epe_px": 0.4,
            "epe_px_reconstructed": None,
        },
    }
    assert summary["data"] == "synthetic"
    assert (summary["n_test"], summary["n_test_subjects"], summary["active_units"]) == (12, 3, 12)
    assert summary["epe_px_mean_flow"] == 0.5
    printed = capsys.readouterr().out
    (eyes,) = (line for line in printed.splitlines() if "eyes" in line)
    assert eyes.replace("│", " ").split() == [
        "eyes",
        "70.0",
        "85.0",
        "75%",  # 15 of the 20 points that the eyes cost
        "80.0",
        "0.400",
        "-",
    ]
    assert "EPE px of the mean flow of training: 0.500" in printed


def test_data_that_hides_nothing_is_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="names its regions"):
        trainer(tmp_path, OcclusionTable()).test(
            FakeModule(LOGGED), datamodule=FakeData(), verbose=False
        )
