from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from experiments.command.console import quiet
from experiments.transfer.arguments import parse
from experiments.transfer.plan import Plan

_EXPERIMENT = """
model:
  class_path: tests.experiments.transfer.tiny_transfer.TinyTransfer
data:
  class_path: tests.experiments.transfer.tiny_transfer.TinySet
  init_args:
    seed: ${seed_everything}
trainer:
  accelerator: cpu
  max_epochs: 1
  enable_progress_bar: false
"""
_SET = """
model:
  init_args: {{num_classes: {classes}}}
data:
  class_path: tests.experiments.transfer.tiny_transfer.{name}
  init_args: {arguments}
"""
_SETS = {
    "rafd": ("RaFDDataModule", "{expressions: basic7}"),
    "views": ("RaFDDataModule", "{angles: [0, 45, 90, 135, 180]}"),
    "other": ("TinySet", "{seed: 5}"),
    "eight": ("TinySet", "{expressions: all8}"),
    "faces": ("TinyFaces", "{seed: 7}"),
}


@pytest.fixture
def folder(folder: Path) -> Path:
    """The working directory, with a tiny experiment and tiny data sets."""
    (folder / "tiny.yaml").write_text(_EXPERIMENT)
    for file, (name, arguments) in _SETS.items():
        (folder / f"{file}.yaml").write_text(
            _SET.format(name=name, arguments=arguments, classes=3 + (file == "eight"))
        )
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
