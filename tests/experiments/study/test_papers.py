"""The studies of the papers' tables, and the figures that are bound to their cells."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from callbacks.records.costs import COSTS
from datamodules.labels import class_names
from experiments.command.console import quiet
from experiments.command.precheck import CommandLine
from experiments.command.resolve import ResolvedExperiment
from experiments.command.usage import PACKAGE
from experiments.crossval.command import describe
from experiments.crossval.folder import CrossvalFolder
from experiments.published import figure_of_cell, figures, setting_of
from experiments.study.arguments import CellPlan, parse
from experiments.study.cells import Cell
from experiments.study.study_file import Study, read_study
from experiments.study.summary import rows_of, summary_of
from experiments.study.table import as_markdown, as_rows
from lightning_modules.judges import FrontalizationJudges
from tests.experiments.crossval import made

STUDIES = sorted(PACKAGE.glob("studies/*.yaml"))
BOUND = [row for row in figures() if row["protocol"]]
# Beside the figures of the paper that has them: what is measured and in no table of results.csv.
OWN = {"ckplus_methods", "pcnn_figure10", "ssim_vae_occluders"}


@cache
def study(name: str) -> Study:
    return read_study(PACKAGE / "studies" / f"{name}.yaml")


@cache
def plans(name: str) -> dict[tuple[str, str], CellPlan]:
    cells = parse([str(PACKAGE / "studies" / f"{name}.yaml"), "--seeds=1"]).cells()
    return {(plan.row, plan.data): plan for plan in cells}


def plan_of(row: Mapping[str, str]) -> CellPlan:
    return plans(row["study"])[row["row"], row["data"]]


def cell_of(row: Mapping[str, str]) -> tuple[str, str, str, str]:
    return row["study"], row["row"], row["data"], row["column"]


@cache
def resolved(fit: tuple[str, ...]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Resolve a command line by the real parser, into what a summary has of it and arguments."""
    with quiet():
        about = describe(ResolvedExperiment(fit), fit)
    summary = {
        "source": "somebody's",
        "data": about.data,
        "data_arguments": about.data_arguments,
        "trainer_arguments": about.trainer_arguments,
        "class_names": list(class_names(about.data_arguments["expressions"])),
    }
    return summary, about.model_arguments


def test_every_figure_of_the_papers_is_there() -> None:
    counts = Counter(row["paper"] for row in figures())
    assert counts == {"vae_ssim": 33, "emotion_gan": 247, "pcnn": 108, "dcgan_svm": 250}
    names = ("paper", "table", "method", "dataset", "condition", "metric")
    assert len({tuple(row[name] for name in names) for row in figures()}) == 638
    assert all(row["value"] for row in figures())


def test_every_figure_has_a_cell_of_its_own_or_a_reason() -> None:
    for row in figures():
        # A cell of its setting, a cell of another one and what differs, or none and why.
        assert bool(row["protocol"]) != bool(row["reason"]), row
        assert row["row"] or not row["protocol"], row
        if row["row"]:
            assert (row["row"], row["data"]) in list(study(row["study"]).places()), row
            assert row["column"] in study(row["study"]).columns, row
    cells = [cell_of(row) for row in figures() if row["row"]]
    assert len(set(cells)) == len(cells)
    assert {row["study"] for row in figures()} - {""} == {f.stem for f in STUDIES} - OWN


def differences(row: Mapping[str, str]) -> tuple[str, ...]:
    """What the cell of a figure does otherwise than its paper, by the real parser."""
    plan = plan_of(row)
    summary, arguments = resolved(plan.fit)
    paper = setting_of(row["protocol"])
    summary = {**summary, "n_test": paper["samples"], "n_subjects": paper["people"]}
    if plan.pretraining is not None:
        arguments = {**arguments, "pretrained": plan.pretraining.data}
    figure = figure_of_cell(cell_of(row), summary, arguments)
    assert figure is not None
    return figure.differences


# One cell of each protocol; all are slow.
FIRST = {row["protocol"].split()[0]: row for row in reversed(BOUND)}


@pytest.mark.parametrize("protocol", FIRST)
def test_a_cell_is_of_the_setting_of_its_figure(protocol: str) -> None:
    assert differences(FIRST[protocol]) == ()


def test_the_others_differ_from_it_as_their_figures_do() -> None:
    for row in BOUND:
        words = study(row["study"]).rows[row["row"]].fit
        flags = {
            name.removeprefix("--model."): yaml.safe_load(value)
            for name, value in pairwise(words)
            if name.startswith("--model.")
        }
        changes = (change.partition("=") for change in row["protocol"].split()[1:])
        there = {name: yaml.safe_load(value) for name, _, value in changes if "*" not in value}
        for name in ("weights", "pretrained"):
            there.pop(name, None)
            if flags.pop(name, None) == "resnet18_msceleb.pth":
                assert "msceleb" in str(
                    setting_of(row["protocol"])["model"]["init_args"]["weights"]
                )
        assert flags == there, row


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted({row["study"] for row in BOUND}))
def test_every_cell_is_of_the_setting_of_its_figure(name: str) -> None:
    for row in (row for row in BOUND if row["study"] == name):
        assert differences(row) == (), row


def test_another_setting_is_told_from_that_of_a_figure() -> None:
    (plan,) = (
        p for p in parse([str(PACKAGE / "studies/pcnn_table7.yaml")]).cells() if p.row == "PCNN"
    )
    summary, arguments = resolved((*plan.fit, "--model.weights=null", "--trainer.max_epochs=3"))
    cell = ("pcnn_table7", "PCNN", "rafdb", "accuracy")
    figure = figure_of_cell(cell, {**summary, "n_test": 3068, "n_subjects": 0}, arguments)
    assert figure is not None
    assert figure.differences == (
        "weights *msceleb* there, None here",
        "trainer.max_epochs 100 there, 3 here",
    )


@pytest.mark.parametrize("file", STUDIES, ids=lambda file: file.stem)
def test_the_text_of_every_cell_is_right(file: Path) -> None:
    for plan in plans(file.stem).values():
        CommandLine("fit", plan.fit).check()
        if plan.pretraining is not None:
            CommandLine("fit", plan.pretraining.fit).check()


@pytest.mark.slow
@pytest.mark.parametrize("file", STUDIES, ids=lambda file: file.stem)
def test_every_cell_resolves(file: Path) -> None:
    for plan in plans(file.stem).values():
        resolved(plan.fit)
        if plan.pretraining is not None:
            assert resolved(plan.pretraining.fit)[0]["data"] != resolved(plan.fit)[0]["data"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> CrossvalFolder:
    """A finished cross-validation of nobody's method."""
    return CrossvalFolder(made.write_crossval(tmp_path_factory.mktemp("crossval"), [1, 2, 0]))


@pytest.mark.parametrize("file", STUDIES, ids=lambda file: file.stem)
def test_every_table_is_laid_out(file: Path, finished: CrossvalFolder) -> None:
    found = study(file.stem)
    cells: dict[tuple[str, str, int], Cell | str] = {
        (row, data, seed): Cell(CellPlan(row, data, seed, ()), finished, None)
        for row, data in found.places()
        for seed in found.seeds
    }
    summary = summary_of(found, rows_of(found, cells))
    text = as_markdown(summary)
    rows = [row for row in figures() if row["study"] == file.stem]
    for row in rows:
        if row["row"]:
            (line,) = (
                r for r in summary["rows"] if (r["row"], r["data"]) == (row["row"], row["data"])
            )
            figure = line["published"][row["column"]]
            assert figure["value"] == float(row["value"])
            # Whatever else differs, drawn faces are nobody's data.
            assert figure["differences"]
            assert row["reason"] in ("", *figure["differences"])
        else:
            assert row["reason"] in text
    assert len(summary["others"]) == sum(not row["row"] for row in rows)
    costs = any(set(row["measures"].values()) & set(COSTS) for row in summary["rows"])
    shown = "(published" if costs else "(published -"
    assert shown in text or not any(row["row"] for row in rows)
    assert len(list(as_rows(summary))) == 1 + len(summary["rows"]) * len(found.columns)


def test_what_stands_in_a_table_of_emotion_gan_is_measured_in_each_data_set() -> None:
    """A measure that no test logs would leave its cells empty, and nobody would be told."""
    named = dict.fromkeys(("adcorre", "dan", "hsemotion", "dmue"), "judge.onnx")
    judges = FrontalizationJudges(7, 32, named)
    rivals = [f"{name}{end}" for name in ("cfrgan", "glunet", "psp") for end in ("", "-frontal")]
    judges.divide(["ckplus"], rivals)
    files = [file for file in STUDIES if file.stem.startswith("emotion_gan")]
    wanted = {
        measure
        for file in files
        for row, _ in study(file.stem).places()
        for measure in study(file.stem).measures(row, "ckplus").values()
    }
    assert len(files) == 4
    assert sorted(wanted - set(judges.subsets.names)) == []
