from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from experiments.crossval.folder import CrossvalFolder
from experiments.crossval.report import as_markdown, headline_line, write_report
from experiments.crossval.summary import collect, summarize
from tests.experiments.crossval import made


@pytest.fixture
def folder(tmp_path: Path) -> CrossvalFolder:
    return CrossvalFolder(made.write_crossval(tmp_path / "crossval-abcdef", [0, 1, 3]))


def report(folder: CrossvalFolder) -> dict[str, bytes]:
    records, missing = collect(folder)
    write_report(folder.path, summarize(folder.description(), records, missing), records)
    names = ("summary.json", "summary.md", "folds.csv")
    return {name: (folder.path / name).read_bytes() for name in names}


def test_the_files_hold_no_time_and_no_place(folder: CrossvalFolder, tmp_path: Path) -> None:
    here = report(folder)
    elsewhere = CrossvalFolder(tmp_path / "elsewhere")
    folder.path.rename(elsewhere.path)
    assert report(elsewhere) == here
    assert str(tmp_path).encode() not in b"".join(here.values())


def test_one_line_a_fold(folder: CrossvalFolder) -> None:
    report(folder)
    with (folder.path / "folds.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["fold"] for row in rows] == ["0", "1", "2"]
    assert float(rows[1]["accuracy"]) == 5 / 6
    assert float(rows[1]["test/loss"]) == 0.5
    assert rows[0]["n_subjects"] == "2"


def test_markdown_says_what_it_stands_on(folder: CrossvalFolder) -> None:
    (folder.fold(1).path / "fold.json").unlink()
    records, missing = collect(folder)
    text = as_markdown(summarize(folder.description(), records, missing))
    assert "`lightning crossval --config tiny.yaml`" in text
    assert "data synthetic" in text
    assert "2 of 3 folds (stratified), 12 test samples of 4 subjects, seed 0, commit c0ffee" in text
    assert "- missing: fold 1, unfinished" in text
    # 6 and 3 of 6: mean 75 %, standard deviation 35.4 points.
    assert "75.0 ± 35.4 %" in text


def test_the_last_line_is_the_result(folder: CrossvalFolder) -> None:
    summary = json.loads(report(folder)["summary.json"])
    assert headline_line(summary) == (
        "tiny, data synthetic: accuracy 77.8 ± 25.5 % over 3 of 3 folds, "
        "pooled 77.8 % of 18 samples"
    )


def test_a_single_fold_has_no_spread(tmp_path: Path) -> None:
    folder = CrossvalFolder(made.write_crossval(tmp_path / "crossval-abcdef", [0, 1, 3]))
    for fold in (1, 2):
        (folder.fold(fold).path / "fold.json").unlink()
    report(folder)
    assert "accuracy 100.0 % over 1 of 3 folds" in headline_line(
        json.loads((folder.path / "summary.json").read_text())
    )
