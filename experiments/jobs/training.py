"""The steps that train a method and test it, each in a run folder."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from callbacks.records.fold_record import is_tested
from experiments.jobs.context import StepContext
from experiments.jobs.step import Step
from experiments.run.folder import RunFolder

PROGRAM = (sys.executable, "-m", "experiments")


def lightning_step(
    name: str,
    verb: Literal["fit", "test"],
    run: RunFolder,
    arguments: Callable[[], Sequence[str]],
    context: Callable[[], StepContext],
    needs: tuple[str, ...] = (),
) -> Step:
    """Make the step of `lightning fit` or `lightning test`.

    Args:
        name: Name of the step.
        verb: fit or test.
        run: Its run folder.
        arguments: Returns the command line after the verb; called when the step starts.
        context: Returns what the process is told; called when the step starts.
        needs: Names of the steps that it needs.

    Returns:
        The step. A test is done where its record is whole, a training where it has ended, or was
        tested already.
    """

    def is_done() -> bool:
        return is_tested(run.path) or (verb == "fit" and _is_trained(run))

    return Step(
        name=name,
        verb=verb,
        folder=run.path,
        command=lambda: [*PROGRAM, verb, *arguments()],
        is_done=is_done,
        needs=needs,
        environment=lambda: context().environment(),
    )


def trained_weights(run: RunFolder) -> Path:
    """Name the checkpoint to test: what validation chose, else that of the last epoch."""
    best = run.checkpoints / "best.ckpt"
    return best if best.is_file() else run.last


def _is_trained(run: RunFolder) -> bool:
    try:
        finished = run.status.get("state") == "finished"
    except json.JSONDecodeError:
        return False
    return finished and trained_weights(run).is_file()
