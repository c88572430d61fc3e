"""What tells whether steps are done, and sums them up, waits for no torch."""

from __future__ import annotations

import ast
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from experiments.crossval.folder import CrossvalFolder
from experiments.crossval.folds import fold_steps
from experiments.jobs.local import LocalLauncher
from experiments.jobs.runner import Runner, Watcher
from tests.experiments.crossval import made

HEAVY = {"kornia", "lightning", "lightning_modules", "torch", "torchmetrics", "wandb"}


def imported_at_once(module: str, root: Path) -> Iterator[str]:
    """Names of the modules that a module imports when it is imported itself."""
    file = root.joinpath(*module.split(".")).with_suffix(".py")
    for node in ast.parse(file.read_text("utf-8")).body if file.is_file() else ():
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize(
    "module",
    [
        "experiments.jobs.runner",
        "experiments.crossval.command",
        "experiments.compare",
        "experiments.sync",
    ],
)
def test_nothing_heavy_is_imported(module: str, repository: Path) -> None:
    reached: set[str] = set()
    waiting = [module]
    while waiting:
        found = set(imported_at_once(waiting.pop(), repository)) - reached
        reached |= found
        waiting += found
    assert "datamodules.errors" in reached
    assert HEAVY.isdisjoint(name.split(".")[0] for name in reached)


def test_a_thousand_finished_steps_are_recognised_in_a_moment(tmp_path: Path) -> None:
    made.write_description(tmp_path)
    folder = CrossvalFolder(tmp_path)
    for fold in range(500):
        made.write_fold(folder.fold(fold).path, fold, folds=500)
    runner = Runner(LocalLauncher([None]), Watcher())
    start = time.process_time()
    for fold in range(500):
        runner.add(fold_steps(folder, fold, []))
    assert runner.waiting == ()
    assert time.process_time() - start < 2
