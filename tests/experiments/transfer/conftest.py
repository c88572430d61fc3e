from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from experiments.command.console import quiet
from experiments.transfer.arguments import parse
from experiments.transfer.plan import Plan
from tests.experiments.transfer.tiny_transfer import write_files


@pytest.fixture
def folder(folder: Path) -> Path:
    """The working directory, with a tiny experiment and tiny data sets."""
    write_files(folder)
    return folder


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """As `main` does around every command."""
    with quiet():
        yield


@pytest.fixture
def plan(folder: Path) -> Callable[..., Plan]:
    """Make the plan of some data sets, given by their names."""

    def make(*sets: str, more: tuple[str, ...] = ()) -> Plan:
        files = [f"{name}.yaml{'=' if root else ''}{root}" for name, _, root in map(_cut, sets)]
        return Plan(parse(["--config", "tiny.yaml", "--data_configs", *files, *more]))

    return make


def _cut(name: str) -> tuple[str, str, str]:
    return name.partition("=")
