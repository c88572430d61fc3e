"""`lightning study` as a person calls it; the folds are real processes."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch

from experiments.cli import main
from experiments.command.resolve import ResolvedExperiment
from tests.experiments.crossval.test_command import EXPERIMENT

STUDY = """
title: Learning rates
rows:
  slow: --config tiny.yaml --model.lr 1e-9
  fast: --config tiny.yaml --model.lr 0.5
  fast, upside down:
    fit: --config tiny.yaml --model.lr 0.5
    measures: {right: accuracy_upside_down}
columns: {right: accuracy, loss: loss}
"""

Refused = Callable[..., tuple[int, str]]


@pytest.fixture
def folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a tiny experiment that can be cross-validated, and a study of it."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    (folder / "tiny.yaml").write_text(EXPERIMENT.replace("headline: [upside_down]\n", ""))
    (folder / "rates.yaml").write_text(STUDY)
    return folder


def summary() -> dict[str, dict[str, object]]:
    rows = json.loads(Path("runs/studies/rates/study.json").read_text())["rows"]
    return {row["row"]: row for row in rows}


def test_a_study_fills_its_table_and_goes_on(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    main(["study", "rates.yaml", "--jobs=2", "--fold", "0"])
    rows = summary()
    # Two rows are the same cross-validation, which is run once.
    assert len(list(Path("runs/tiny").glob("crossval-*"))) == 2
    assert all(run["done"] == [0] for row in rows.values() for run in row["runs"])
    assert all(row["missing"] == [] for row in rows.values())
    (run,) = rows["fast"]["runs"]
    record = json.loads((Path(run["folder"]) / "fold_00" / "fold.json").read_text())
    assert rows["fast"]["cells"]["loss"]["mean"] == record["metrics"]["test/loss"]
    assert rows["slow"]["against_first"] is None
    difference = rows["fast"]["against_first"]["difference"]["mean"]
    means = [rows[name]["cells"]["right"]["mean"] for name in ("fast", "slow")]
    assert difference == pytest.approx(means[0] - means[1])
    said = capfd.readouterr().out
    assert "fast, data, seed 0, fold 00: done" in said
    assert Path("runs/studies/rates/study.md").read_text() in said
    with Path("runs/studies/rates/study.csv").open(newline="") as file:
        assert [line[:4] for line in csv.reader(file)][2] == ["slow", "data", "loss", "loss"]

    # Another seed later, and nothing twice.
    before = {path: path.stat().st_mtime_ns for path in Path("runs").glob("tiny/*/*/fold.json")}
    main(["study", "rates.yaml", "--jobs=2", "--fold", "0", "--seeds", "2"])
    assert all(path.stat().st_mtime_ns == time for path, time in before.items())
    row = summary()["fast"]
    assert [run["seed"] for run in row["runs"]] == [0, 1]
    assert row["cells"]["loss"]["n"] == 2
    text = Path("runs/studies/rates/study.md").read_text()
    assert "over seeds 0, 1" in text

    # A whole study is shown without torch, whose import would take longer than all the rest.
    code = (
        "import sys; from experiments.cli import main; "
        "main(['study', 'rates.yaml', '--fold', '0', '--seeds', '2']); "
        "assert 'torch' not in sys.modules"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[3])}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
    assert Path("runs/studies/rates/study.md").read_text() == text


def test_a_partial_study_shows_what_there_is(
    folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve, resolved = ResolvedExperiment.__init__, []

    def count(self: ResolvedExperiment, args: Sequence[str]) -> None:
        resolved.append(args)
        resolve(self, args)

    monkeypatch.setattr(ResolvedExperiment, "__init__", count)
    main(["study", "rates.yaml", "--seeds=3", "--summarize"])
    assert "slow: missing: seed 2: not started" in capfd.readouterr().out
    assert len(resolved) == 2  # two of the three rows are one, and so are all seeds
    assert not list(Path("runs/tiny").glob("*/fold_*"))


@pytest.mark.parametrize(
    ("change", "args", "sentence"),
    [
        ("", ["--roots", "ck=/x"], "study: --roots names ck; rates.yaml has data"),
        (
            "",
            ["--roots", "data"],
            "study: --roots takes NAME=ROOT, e.g. ckplus=/data/CK+, not data",
        ),
        (
            "",
            ["--data.fold=1"],
            "study takes no --data.fold: all folds are run, or those of --fold.",
        ),
        ("colums: {}", [], "rates.yaml: unknown key colums; did you mean columns?"),
        ("seeds: 3", [], "rates.yaml: seeds must be a list such as [0, 1, 2], but is 3"),
        ("rows: []", [], "rates.yaml: rows must be a section such as {pcnn: --config experiments/"),
        ("rows: {a: [b]}", [], "rates.yaml: rows.a must be a command line of fit, but is ['b']"),
        ('rows: {a: "--x \'y"}', [], "rates.yaml: rows.a is no command line: No closing quotation"),
        (
            "rows: {a: {fits: b}}",
            [],
            "rates.yaml: rows.a has fit, measures, pretrain and data, but not fits",
        ),
        ("rows: {a: {data: b}}", [], "rates.yaml: rows.a names data 'b'; there is data"),
        ("rows: {a: {pretrain: b}}", [], "rates.yaml: rows.a names data 'b'; there is data"),
        ("rows: {a: --config tiny.yaml --model.rate 1}", [], "TinyClassifier takes no rate"),
    ],
)
def test_what_is_refused(
    folder: Path, refused: Refused, change: str, args: list[str], sentence: str
) -> None:
    text = "rows: {a: --config tiny.yaml}\n" if "rows" not in change else ""
    (folder / "rates.yaml").write_text(text + change)
    code, said = refused("study", "rates.yaml", *args)
    assert code == 2
    assert said.startswith(f"lightning: {sentence}")


def test_a_study_that_is_not_there(folder: Path, refused: Refused) -> None:
    code, said = refused("study", "rate.yaml")
    assert code == 2
    assert "rate.yaml" in said


TAUGHT = """
rows:
  taught: {fit: --config tiny.yaml, pretrain: faces, data: rafd}
data: {rafd: --config rafd.yaml, faces: --config faces.yaml}
columns: {happiness: auc_happiness}
"""


def test_a_row_learns_on_other_data_first(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    tiny = "tests.experiments.transfer.tiny_transfer"
    (folder / "tiny.yaml").write_text(
        f"model: {{class_path: {tiny}.TinyTransfer}}\ndata: {{class_path: {tiny}.TinySet}}\n"
        "trainer: {accelerator: cpu, max_epochs: 1, enable_progress_bar: false}\n"
    )
    (folder / "faces.yaml").write_text(f"data: {{class_path: {tiny}.TinyFaces}}\n")
    (folder / "rafd.yaml").write_text(f"data: {{class_path: {tiny}.RaFDDataModule}}\n")
    (folder / "taught.yaml").write_text(TAUGHT)
    main(["study", "taught.yaml", "--jobs=2"])
    (row,) = json.loads(Path("runs/studies/taught/study.json").read_text())["rows"]
    assert (row["row"], row["data"], row["missing"]) == ("taught", "rafd", [])
    assert row["cells"]["happiness"]["mean"] == 0.75
    (first,) = Path("runs/pretrained").glob("faces-*/checkpoints/last.ckpt")
    (fold,) = Path("runs/tiny").glob("crossval-*/fold_00/checkpoints/last.ckpt")
    learnt, taught = (torch.load(path, weights_only=True)["state_dict"] for path in (first, fold))
    assert torch.equal(learnt["layer.weight"], taught["layer.weight"])
    said = capfd.readouterr().out
    assert "3 steps to do" in said
    assert f"pretraining on faces ({first.parents[1].name}): training" in said
    main(["study", "taught.yaml"])
    assert "steps to do" not in capfd.readouterr().out
