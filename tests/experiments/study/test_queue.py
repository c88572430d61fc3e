"""The folds of several cells as processes: a fast child stands for the command."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from experiments.crossval.folder import CrossvalFolder
from experiments.jobs import step
from experiments.jobs.local import LocalLauncher
from experiments.study.arguments import CellPlan
from experiments.study.cells import Cell
from experiments.study.queue import StudyQueue
from experiments.study.study_file import Method, Study
from experiments.study.summary import rows_of, summary_of
from experiments.study.table import as_markdown
from tests.experiments.crossval import made
from tests.experiments.crossval.test_folds import FOLDS, PROGRAM

STUDY = Study(
    "s",
    "S",
    {"one": Method((), {}), "two": Method((), {})},
    {"data": ()},
    {"a": "accuracy"},
    (0,),
    None,
)


def cells_of(folders: Sequence[Path]) -> list[Cell]:
    return [
        Cell(CellPlan(row, "data", 0, (f"--folds={FOLDS}",)), CrossvalFolder(path), None)
        for row, path in zip(STUDY.rows, folders, strict=True)
    ]


def make_queue(folders: Sequence[Path]) -> StudyQueue:
    return StudyQueue(cells_of(folders), LocalLauncher([None, None]))


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    monkeypatch.setattr(step, "PROGRAM", PROGRAM)
    paths = [tmp_path / "crossval-1", tmp_path / "crossval-2"]
    for path in paths:
        made.write_description(path)
    return paths


def table(folders: Sequence[Path]) -> str:
    cells = {(c.plan.row, c.plan.data, 0): c for c in cells_of(folders)}
    return as_markdown(summary_of(STUDY, rows_of(STUDY, cells)))


def test_the_first_fold_of_each_row_comes_first(
    folders: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    make_queue(folders).run()
    said = [line for line in capsys.readouterr().out.splitlines() if "training" in line]
    assert said[:2] == [f"{row}, data, seed 0, fold 00: training" for row in ("one", "two")]
    assert len(said) == 2 * FOLDS
    assert "missing" not in table(folders)


def test_a_failed_fold_stops_no_other(
    folders: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    behaviour = {"1": {"fit begin": {"says": "lightning: no luck", "code": 1}}}
    (folders[0] / "behaviour.json").write_text(json.dumps(behaviour))
    make_queue(folders).run()
    log = folders[0] / "fold_01" / "log.txt"
    assert f"one, data, seed 0, fold 01: failed: no luck\n  its log: {log}" in (
        capsys.readouterr().out
    )
    text = table(folders)
    assert text.count("missing") == 1
    assert "one: missing: seed 0, fold 1: failed, see fold_01/log.txt: no luck" in text


def test_killed_at_any_moment_it_comes_to_the_same_table(folders: list[Path]) -> None:
    make_queue(folders).run()
    whole = table(folders)
    for path in folders:
        for fold in path.glob("fold_*"):
            for file in sorted(fold.rglob("*"), reverse=True):
                file.unlink() if file.is_file() else file.rmdir()
    draw, command = random.Random(0), [sys.executable, "-m", "tests.experiments.study.parent"]
    for _ in range(5):
        process = subprocess.Popen([*command, *map(str, folders)], stdout=subprocess.DEVNULL)
        try:
            process.wait(draw.uniform(1.0, 3.0))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    assert table(folders) != whole or all(cell.is_done for cell in cells_of(folders))
    make_queue(folders).run()
    assert table(folders) == whole
