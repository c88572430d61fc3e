from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from callbacks.records import fold_report
from callbacks.records.fold_record import file_hash
from callbacks.records.fold_report import FoldReport, departures
from callbacks.records.predictions import Predictions
from tests.callbacks.fakes import FakeData, FakeModule, trainer


class FoldedData(FakeData):
    """Twelve samples of three people, of whom one is also trained on."""

    fold_mode = "stratified"
    folds_hash = "f0"
    manifest_hash = "0d"
    content_sketch = ("0a",)
    num_folds = 5
    test_subjects = ("S000", "S001", "S002")
    train_subjects = ("S003",)


def config(**data: Any) -> dict[str, Any]:
    return {
        "experiment": "tiny",
        "seed_everything": 7,
        "model": {"class_path": "tests.FakeModule"},
        "data": {"class_path": "tests.FoldedData", "init_args": data},
        "trainer": {
            "limit_train_batches": None,
            "limit_test_batches": 1.0,
            "overfit_batches": 0.0,
        },
    }


def callback() -> FoldReport:
    validation = {"val/accuracy": 0.75, "val/auc": float("nan")}
    return FoldReport("c0", config(labels_csv="mine.csv"), validation)


def record_of(folder: Path, data: FakeData | None = None, *more: Any, **options: Any) -> Any:
    module = FakeModule({"test/accuracy": 0.25, "test/recall_surprise": 0.5, "other": 1.0})
    runner = trainer(folder, *more, callback(), **options)
    runner.test(module, datamodule=data or FoldedData(), verbose=False)
    return json.loads((folder / "fold.json").read_text())


def test_the_record_says_what_was_tested_and_with_what(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = {"commit": "beef", "dirty": False}
    monkeypatch.setattr(fold_report, "source_state", lambda: code)
    (tmp_path / "environment.json").write_text('{"git": {"commit": "c0ffee", "dirty": true}}')
    record = record_of(tmp_path, None, Predictions())
    assert record.pop("checksum")
    assert record == {
        "experiment": "tiny",
        "model": "FakeModule",
        "data": "FoldedData",
        "config_hash": "c0",
        "seed": 7,
        "code": {"trained": {"commit": "c0ffee", "dirty": True}, "tested": code},
        "fold": 2,
        "folds": 5,
        "fold_mode": "stratified",
        "folds_hash": "f0",
        "manifest_hash": "0d",
        "content_sketch": ["0a"],
        "source": "synthetic",
        "class_names": ["neutral", "happiness", "surprise"],
        "subjects": ["S000", "S001", "S002"],
        "shared_subjects": [],
        "validation": {"val/accuracy": 0.75, "val/auc": None},
        "n_test": 12,
        "checkpoint": None,
        "departures": ["labels by a list of the user's"],
        "metrics": {"test/accuracy": 0.25, "test/recall_surprise": 0.5},
        "predictions": file_hash(tmp_path / "predictions.csv"),
    }


def test_the_same_test_leaves_the_same_record(tmp_path: Path) -> None:
    first = record_of(tmp_path / "here", None, Predictions())
    assert record_of(tmp_path / "there", None, Predictions()) == first


def test_the_split_is_there_before_the_record(tmp_path: Path) -> None:
    record = record_of(tmp_path)
    split = json.loads((tmp_path / "split.json").read_text())
    assert split.items() <= record.items()
    assert split["subjects"] == ["S000", "S001", "S002"]


def test_a_repeated_sample_counts_once(tmp_path: Path) -> None:
    assert record_of(tmp_path, FoldedData([*range(12), 0, 1]))["n_test"] == 12


def test_a_class_without_samples_has_no_recall(tmp_path: Path) -> None:
    record = record_of(tmp_path, FoldedData([0, 1, 3, 4]))
    assert record["n_test"] == 4
    assert record["metrics"] == {"test/accuracy": 0.25, "test/recall_surprise": None}


def test_what_is_not_finite_is_null(tmp_path: Path) -> None:
    runner = trainer(tmp_path, callback())
    module = FakeModule({"test/epe_px": float("nan")})
    runner.test(module, datamodule=FoldedData(), verbose=False)
    record = json.loads((tmp_path / "fold.json").read_text())
    assert record["metrics"] == {"test/epe_px": None}


def test_departures_that_only_the_data_show(tmp_path: Path) -> None:
    data = FoldedData()
    data.train_subjects = ("S001", "S003")
    data.fold_mode = "samples"
    record = record_of(tmp_path, data, limit_test_batches=1)
    assert record["shared_subjects"] == ["S001"]
    assert record["departures"][1:] == [
        "subjects are shared by training and test (fold_mode samples)",
        "not all test samples were tested",
    ]


def test_without_the_callback_an_old_file_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "predictions.csv").write_text("of an earlier test")
    assert record_of(tmp_path)["predictions"] is None


def test_data_without_folds_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="FakeData makes no folds"):
        record_of(tmp_path, FakeData())


def test_departures_of_the_config_are_named() -> None:
    assert departures(config()) == []
    assert departures(config(labels_csv="mine.csv")) == ["labels by a list of the user's"]
    short = config()
    # One batch, which is not the whole.
    short["trainer"].update(limit_test_batches=1, overfit_batches=0.5)
    assert departures(short) == [
        "shortened by trainer.limit_test_batches",
        "shortened by trainer.overfit_batches",
    ]
