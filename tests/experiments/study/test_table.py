"""What a table says of several seeds, of differences of measures, and of published figures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from callbacks.statistics import corrected_resampled_t, estimate, mcnemar
from experiments.crossval.folder import CrossvalFolder
from experiments.study.arguments import CellPlan
from experiments.study.cells import Cell
from experiments.study.study_file import Method, Study
from experiments.study.summary import rows_of, summary_of
from experiments.study.table import as_markdown
from tests.experiments.crossval import made

SEEDS = (0, 1, 2)
# Wrong answers of six on the one split, by seed: the first so many are wrong.
WRONG = {"one": (0, 1, 0), "two": (3, 2, 5)}


def study(columns: dict[str, str], seeds: tuple[int, ...] = SEEDS) -> Study:
    rows = {name: Method((), {}) for name in WRONG}
    return Study("s", "S", rows, {"data": ()}, columns, seeds, None)


def summary(folder: Path, study: Study, **changes: Any) -> dict[str, Any]:
    cells: dict[tuple[str, str, int], Cell | str] = {}
    for row, numbers in WRONG.items():
        for seed, wrong in zip(study.seeds, numbers, strict=False):
            path = folder / f"crossval-{row}{seed}"
            made.write_description(path, seed=seed)
            made.write_fold(path / "fold_00", 0, folds=1, wrong=wrong, seed=seed, **changes)
            cell = Cell(CellPlan(row, "data", seed, ()), CrossvalFolder(path), None)
            cells[row, "data", seed] = cell
    return summary_of(study, rows_of(study, cells))


def test_one_split_over_seeds(tmp_path: Path) -> None:
    found = summary(tmp_path, study({"right": "accuracy"}))
    first, second = found["rows"]
    right = {name: [(6 - wrong) / 6 for wrong in numbers] for name, numbers in WRONG.items()}
    for row in (first, second):
        expected = estimate(right[row["row"]])
        cell = row["cells"]["right"]
        assert (cell["n"], cell["mean"], cell["std"]) == (3, expected.mean, expected.std)
        assert (cell["low"], cell["high"]) == (expected.low, expected.high)
    against = second["against_first"]
    differences = [b - a for a, b in zip(right["one"], right["two"], strict=True)]
    # Seeds share all of their data: the plain test, of what chance does in training.
    assert against["p_t"] == pytest.approx(corrected_resampled_t(differences, 0.0)[1])
    # Six samples, not eighteen, each as most of the seeds answer it.
    assert against["p_mcnemar"] == mcnemar([True] * 6, [False] * 3 + [True] * 3)
    text = as_markdown(found)
    assert "over seeds 0, 1, 2, with 95 % intervals" in text
    assert "94.4 ± 9.6 % [70.5 to 118.3 %]" in text
    assert "each counted as most seeds answer it" in text


def test_a_measure_may_be_the_difference_of_two(tmp_path: Path) -> None:
    metrics = {"test/accuracy_eyes": 0.5, "test/accuracy_eyes_reconstructed": 0.75}
    columns = {"won": "accuracy_eyes_reconstructed - accuracy_eyes", "none": "accuracy_a - f1"}
    found = summary(tmp_path, study(columns, (0,)), metrics=metrics)
    assert found["rows"][0]["cells"]["won"]["mean"] == 0.25
    assert found["rows"][0]["cells"]["none"] is None


def test_a_measure_may_be_what_an_answer_costs(tmp_path: Path) -> None:
    columns = {"ms": "latency_ms", "MB": "size_mb", "GMACs": "macs_g"}
    for row in WRONG:
        fold = tmp_path / f"crossval-{row}0" / "fold_00"
        fold.mkdir(parents=True)
        told = {"median_ms": 4.0, "device": "cpu", "threads": 1}
        (fold / "latency.json").write_text(json.dumps(told))
        (fold / "size.json").write_text('{"macs_g": 3.5, "size_mb": 30.7}')
    found = summary(tmp_path, study(columns, (0,)))
    cells = found["rows"][0]["cells"]
    assert {title: cell["mean"] for title, cell in cells.items()} == {
        "ms": 4.0,
        "MB": 30.7,
        "GMACs": 3.5,
    }
    assert "answers timed on cpu with threads: 1" in as_markdown(found)
    assert "timed_on" not in summary(tmp_path, study({"MB": "size_mb"}, (0,)))["rows"][0]["runs"][0]


def test_a_measure_may_name_the_data_set(tmp_path: Path) -> None:
    metrics = {"test/data_accuracy": 0.5}
    found = summary(tmp_path, study({"own": "{data}_accuracy"}, (0,)), metrics=metrics)
    assert found["rows"][0]["measures"] == {"own": "data_accuracy"}
    assert found["rows"][0]["cells"]["own"]["mean"] == 0.5


def test_rows_are_compared_on_their_own_data(tmp_path: Path) -> None:
    path = made.write_crossval(tmp_path / "crossval-a", [1, 2, 0])
    rows = {"one": Method((), {}), "two": Method((), {}, data=("b",))}
    several = Study("s", "S", rows, {"a": (), "b": ()}, {"right": "accuracy"}, (0,), None)
    assert list(several.places()) == [("one", "a"), ("one", "b"), ("two", "b")]
    cells: dict[tuple[str, str, int], Cell | str] = {
        (row, data, 0): Cell(CellPlan(row, data, 0, ()), CrossvalFolder(path), None)
        for row, data in several.places()
    }
    found = summary_of(several, rows_of(several, cells))
    tested = [row["against_first"] is not None for row in found["rows"]]
    assert tested == [False, False, True]
    assert "are to the first row of the same data" in as_markdown(found)


def test_a_figure_of_another_setting_stands_in_a_footnote(tmp_path: Path) -> None:
    path = made.write_crossval(tmp_path / "crossval-a", [1, 2, 0])
    rows = {"PCNN": Method((), {}), "ResNet-18": Method((), {})}
    paper = Study("pcnn_table5", "S", rows, {"fer2013": ()}, {"accuracy": "accuracy"}, (0,), None)
    cells: dict[tuple[str, str, int], Cell | str] = {
        (row, data, 0): Cell(CellPlan(row, data, 0, ()), CrossvalFolder(path), None)
        for row, data in paper.places()
    }
    text = as_markdown(summary_of(paper, rows_of(paper, cells)))
    assert "83.3 ± 16.7 % (published - [1])" in text
    assert "[1] No published figure: pcnn, Table V: data of another source here: synthetic." in text
    assert "[2] No published figure: pcnn, Table V: quoted from another paper" in text
    assert "72.8" not in text
    (rival,) = (line for line in text.splitlines() if line.startswith("| ALAW"))
    cells_of_it = [cell.strip() for cell in rival.split("|")[1:-1]]
    assert cells_of_it[:5] == ["ALAW", "FER2013", "", "accuracy", "72.67 %"]
    assert "whose code and weights are not part" in cells_of_it[5]
