from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sklearn import metrics

from callbacks.records.fold_record import FoldRecord, seal
from callbacks.statistics import estimate
from experiments.command.errors import CommandError
from experiments.crossval.folder import CrossvalFolder
from experiments.crossval.summary import (
    collect,
    headline_accuracy,
    headline_conditions,
    summarize,
)
from tests.experiments.crossval import made

WRONG = [0, 1, 3]


@pytest.fixture
def folder(tmp_path: Path) -> CrossvalFolder:
    return CrossvalFolder(made.write_crossval(tmp_path / "crossval-abcdef", WRONG))


def change(folder: CrossvalFolder, fold_: int, **values: Any) -> None:
    path = folder.fold(fold_).path / "fold.json"
    path.write_text(json.dumps(seal({**json.loads(path.read_text()), **values})))


def summary_of(folder: CrossvalFolder) -> dict[str, Any]:
    records, missing = collect(folder)
    return summarize(folder.description(), records, missing)


def test_mean_spread_and_pooled_scores(folder: CrossvalFolder) -> None:
    records, _ = collect(folder)
    summary = summary_of(folder)
    accuracies = [1.0, 5 / 6, 3 / 6]
    assert summary["accuracy"] == vars(estimate(accuracies))
    assert summary["metrics"]["test/accuracy"] == vars(estimate(accuracies))
    assert summary["metrics"]["test/loss"]["mean"] == 0.5
    predictions = [record.predictions for record in records if record.predictions]
    labels = [label for p in predictions for label in p.labels]
    answers = [answer for p in predictions for answer in p.answers["predicted"]]
    pooled = summary["pooled"]
    assert pooled["accuracy"] == metrics.accuracy_score(labels, answers) == 14 / 18
    assert pooled["f1_macro"] == pytest.approx(metrics.f1_score(labels, answers, average="macro"))
    assert (
        pooled["confusion_matrix"]
        == metrics.confusion_matrix(labels, answers, labels=made.CLASSES).tolist()
    )
    assert (summary["n_test"], summary["n_subjects"]) == (18, 6)
    assert summary["source"] == "synthetic"
    assert summary["departures"] == []
    assert summary["missing"] == {}


def test_conditions_are_summed_up_beside_the_method(folder: CrossvalFolder) -> None:
    conditions = summary_of(folder)["conditions"]
    assert conditions["predicted_eyes"]["pooled"]["accuracy"] == 8 / 18
    assert conditions["predicted"]["pooled"] == summary_of(folder)["pooled"]


def test_the_headline_may_be_a_condition(tmp_path: Path) -> None:
    path = made.write_crossval(tmp_path / "crossval-abcdef", WRONG, headline=["*", "!mouth"])
    summary = summary_of(CrossvalFolder(path))
    assert summary["pooled"]["accuracy"] == 8 / 18


@pytest.mark.parametrize(
    ("patterns", "chosen"),
    [
        (None, ["predicted"]),
        (["*_back"], ["predicted_clean_back", "predicted_eyes_back", "predicted_nose_back"]),
        (["*_back", "!clean*"], ["predicted_eyes_back", "predicted_nose_back"]),
        (["nose", "eyes_back", "nose"], ["predicted_nose", "predicted_eyes_back"]),
    ],
)
def test_headline_patterns(patterns: list[str] | None, chosen: list[str]) -> None:
    names = ["eyes", "nose", "clean_back", "eyes_back", "nose_back"]
    answered = ["predicted", *(f"predicted_{name}" for name in names)]
    assert headline_conditions(answered, patterns) == chosen


def test_a_headline_of_nothing_is_said() -> None:
    with pytest.raises(CommandError, match="mouth names no condition of the test; there is eyes"):
        headline_conditions(["predicted", "predicted_eyes"], ["mouth"])


def test_eight_of_ten_folds_say_so(folder: CrossvalFolder) -> None:
    (folder.fold(1).path / "fold.json").unlink()
    (folder.fold(1).path / "failure.json").write_text('{"said": "killed by SIGKILL"}')
    summary = summary_of(folder)
    assert summary["done"] == [0, 2]
    assert summary["folds"] == 3
    assert summary["missing"] == {"1": "failed, see fold_01/log.txt: killed by SIGKILL"}
    assert "2 of 3 folds" in summary["departures"]
    assert summary["metrics"]["test/loss"]["n"] == 2


def test_a_fold_never_started_is_missing(tmp_path: Path) -> None:
    path = made.write_crossval(tmp_path / "crossval-abcdef", WRONG)
    for name in ("fold.json", "split.json", "predictions.csv"):
        (path / "fold_02" / name).unlink()
    (path / "fold_02").rmdir()
    (path / "fold_01" / "fold.json").unlink()
    _, missing = collect(CrossvalFolder(path))
    assert missing == {1: "unfinished", 2: "not started"}


def test_a_damaged_record_is_never_averaged(folder: CrossvalFolder) -> None:
    (folder.fold(2).path / "fold.json").write_text('{"metrics": {"test/accuracy": 1.0')
    records, missing = collect(folder)
    assert [record["fold"] for record in records] == [0, 1]
    assert missing[2].startswith("its record is damaged")


def test_a_measure_that_a_fold_does_not_have_is_left_out(folder: CrossvalFolder) -> None:
    change(folder, 0, metrics={"test/accuracy": 1.0, "test/loss": None})
    change(folder, 1, metrics={"test/accuracy": 0.5, "test/loss": 1.5})
    assert summary_of(folder)["metrics"]["test/loss"] == vars(estimate([1.5, 0.5]))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"seed": 1}, r"differing seeds .*: 0 \(fold 0, 2\); 1 \(fold 1\)"),
        ({"manifest_hash": "ff"}, "differing data"),
        ({"folds_hash": "ff"}, "differing assignments to folds"),
        ({"class_names": ["a", "b"]}, "differing classes"),
        (
            {"code": {"trained": {"commit": "beef", "dirty": False}, "tested": None}},
            r"differing commits .*: c0ffee \(fold 0, 2\); beef \(fold 1\)",
        ),
        ({"subjects": ["S000"]}, "subject S000 is tested twice, in folds 0 and 1"),
    ],
)
def test_folds_that_do_not_belong_together_are_refused(
    folder: CrossvalFolder, values: dict[str, Any], said: str
) -> None:
    change(folder, 1, **values)
    with pytest.raises(CommandError, match=said):
        summary_of(folder)


def test_a_sample_tested_twice_is_refused(folder: CrossvalFolder) -> None:
    made.write_fold(folder.fold(1).path, 1)
    other = made.write_predictions(folder.fold(1).path, 0, wrong=0)
    change(folder, 1, predictions=other)
    with pytest.raises(CommandError, match="sample S000/000 is tested twice, in folds 0 and 1"):
        summary_of(folder)


def test_folds_of_another_config_or_place_are_refused(folder: CrossvalFolder) -> None:
    change(folder, 1, config_hash="ffff")
    with pytest.raises(CommandError, match="fold_01 holds the record of another config"):
        collect(folder)
    change(folder, 1, config_hash=made.DIGEST, fold=0)
    with pytest.raises(CommandError, match="holds the record of fold 0"):
        collect(folder)


def test_departures_are_marked(folder: CrossvalFolder) -> None:
    dirty = {"commit": "c0ffee", "dirty": True}
    for fold in range(3):
        change(folder, fold, departures=["labels by a list of the user's"])
    change(folder, 1, departures=["not all test samples were tested"])
    change(folder, 2, code={"trained": dirty, "tested": dirty})
    assert summary_of(folder)["departures"] == [
        "labels by a list of the user's (in 2 of 3 folds)",
        "not all test samples were tested (in 1 of 3 folds)",
        "the source had changes that were not committed",
    ]


def test_subjects_may_be_shared_by_name(folder: CrossvalFolder) -> None:
    for fold in range(3):
        change(folder, fold, subjects=["S000"], shared_subjects=["S000"])
    assert summary_of(folder)["n_subjects"] == 1


def test_no_predictions_no_accuracy(folder: CrossvalFolder) -> None:
    for fold in range(3):
        change(folder, fold, predictions=None)
    assert "pooled" not in summary_of(folder)
    assert headline_accuracy(FoldRecord({}, None), None) is None
