from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from experiments.command.console import quiet
from experiments.command.resolve import ResolvedExperiment
from experiments.crossval.arguments import parse

SWEEPS = sorted((Path(__file__).resolve().parents[3] / "experiments" / "sweeps").glob("*.yaml"))


def value_of(parameter: dict[str, Any]) -> Any:
    """What an agent may write: an edge of a range, and Python's None."""
    return parameter["values"][0] if "values" in parameter else parameter["min"]


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_an_agents_command_line_is_understood(path: Path) -> None:
    sweep = yaml.safe_load(path.read_text())
    given = [f"--{key}={value_of(parameter)}" for key, parameter in sweep["parameters"].items()]
    words = [word for word in sweep["command"] if word not in ("${env}", "${program}")]
    line = [w for word in words for w in (given if word == "${args}" else [word])]
    assert line.pop(0) == "crossval"
    with quiet():
        experiment = ResolvedExperiment(parse(line).fit)
    for key, parameter in sweep["parameters"].items():
        node = experiment.resolved
        for part in key.split("."):
            node = node[part]
        assert node == value_of(parameter)


def test_there_are_sweeps() -> None:
    assert SWEEPS
