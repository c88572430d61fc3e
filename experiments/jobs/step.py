"""A command that leaves something in a folder, and need not run again once that is there."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from callbacks.records.fold_record import is_tested
from datamodules.store.replacing import read_json, write_json
from experiments.jobs.context import StepContext
from experiments.run.folder import RunFolder

PROGRAM = (sys.executable, "-m", "experiments")

LOG_FILE = "log.txt"
_FAILURE = "failure.json"


@dataclass(frozen=True)
class Step:
    """One of the commands that a whole, such as a cross-validation, consists of.

    Args:
        name: Its name, by which other steps need it.
        verb: The command of `lightning` that it runs, for its log and messages.
        folder: Where it writes; steps that run one after another may share a folder.
        command: Returns program and arguments. Called when the step starts, so that it may depend
            on what the needed steps left.
        is_done: Tells whether there is everything that the step is for.
        needs: Names of steps that must be done before.
        environment: Returns the variables that it is told besides what it inherits; called when
            the step starts.
    """

    name: str
    verb: str
    folder: Path
    command: Callable[[], Sequence[str]]
    is_done: Callable[[], bool]
    needs: tuple[str, ...] = ()
    environment: Callable[[], Mapping[str, str]] = dict

    @property
    def log(self) -> Path:
        """What it prints, added to at every start."""
        return self.folder / LOG_FILE

    def forget_failure(self) -> None:
        """Remove what an earlier start left in failure.json."""
        (self.folder / _FAILURE).unlink(missing_ok=True)

    def record_failure(self, why: str) -> None:
        """Write failure.json, with a sentence on why the step failed."""
        write_json(self.folder / _FAILURE, {"step": self.verb, "said": why})


def failure(folder: Path) -> str | None:
    """Return why the last step that ran in a folder failed; None where it did not."""
    values = read_json(folder / _FAILURE, said=str)
    return None if values is None else str(values["said"])


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
    return run.status.get("state") == "finished" and trained_weights(run).is_file()
