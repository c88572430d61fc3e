"""The studies of the papers' tables, and the figures that are bound to their cells."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from datamodules.labels import class_names
from experiments.command.console import quiet
from experiments.command.resolve import ResolvedExperiment
from experiments.command.usage import PACKAGE
from experiments.crossval.command import describe
from experiments.published import _paper, figure_of_cell, figures
from experiments.study.arguments import parse
from experiments.study.study_file import Study, read_study

STUDIES = sorted(PACKAGE.glob("studies/*.yaml"))
BOUND = [row for row in figures() if row["protocol"]]


@cache
def study(name: str) -> Study:
    return read_study(PACKAGE / "studies" / f"{name}.yaml")


@cache
def described(fit: tuple[str, ...]) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Resolve a command line by the real parser; return the method and what a summary has of it."""
    with quiet():
        about = describe(ResolvedExperiment(fit), fit)
    summary = {
        "data": about.data,
        "data_arguments": about.data_arguments,
        "trainer_arguments": about.trainer_arguments,
        "expressions": (about.data_arguments or {})["expressions"],
    }
    return about.model, about.model_arguments, summary


def test_every_figure_of_the_papers_is_there() -> None:
    counts = Counter(row["paper"] for row in figures())
    assert counts == {"vae_ssim": 33, "emotion_gan": 247, "pcnn": 108, "dcgan_svm": 250}
    names = ("paper", "table", "method", "dataset", "condition", "metric")
    keys = [tuple(row[name] for name in names) for row in figures()]
    assert len(set(keys)) == len(keys) == 638
    assert all(row["value"] for row in figures())


def test_every_figure_has_a_cell_of_its_own_or_a_reason() -> None:
    for row in figures():
        assert bool(row["protocol"]) != bool(row["reason"]), row
        assert not row["protocol"] or row["row"], row
        if row["study"]:
            assert (PACKAGE / "studies" / f"{row['study']}.yaml").is_file(), row
        if row["row"]:
            found = study(row["study"])
            assert (row["row"], row["data"]) in list(found.places()), row
            assert row["column"] in found.columns, row
    cells = [(r["study"], r["row"], r["data"], r["column"]) for r in figures() if r["row"]]
    assert len(set(cells)) == len(cells)


@pytest.mark.parametrize("file", STUDIES, ids=lambda file: file.stem)
def test_every_cell_resolves(file: Path) -> None:
    options = parse([str(file), "--seeds=1"])
    for plan in options.cells():
        described(plan.fit)
        if plan.pretraining is not None:
            _, _, first = described(plan.pretraining.fit)
            _, _, then = described(plan.fit)
            assert first["data"] != then["data"]


@pytest.mark.parametrize("name", sorted({row["study"] for row in BOUND}))
def test_a_cell_is_of_the_setting_of_its_figure(name: str) -> None:
    plans = {(plan.row, plan.data): plan for plan in parse([f"{name}.yaml"]).cells()}
    for row in BOUND:
        if row["study"] == name:
            plan = plans[row["row"], row["data"]]
            _, arguments, summary = described(plan.fit)
            assert differences(row, plan.pretraining and plan.pretraining.data, summary, arguments) == ()
