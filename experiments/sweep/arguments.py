"""The command line of `lightning sweep`: its own options, and those of `fit` for every trial."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from experiments.command.arguments import CommandParser, natural, positive
from experiments.command.errors import usage_error
from experiments.command.usage import find_packaged
from experiments.crossval.arguments import parse as parse_crossval
from experiments.jobs.options import LauncherOptions
from experiments.sweep.space import grid
from experiments.sweep.sweep_file import Sweep, read_sweep

# What a sweep decides for its trials, and what to say to a person who does.
_DECIDED = {
    "--ckpt_path": "every fold starts from fresh weights",
    "--data.fold": "all folds are run, or those of --fold",
    "--fresh": "move or delete the folders that it names to start anew",
}


@dataclass(frozen=True)
class Options:
    """What `lightning sweep` was asked for.

    Args:
        sweep: The search.
        trials: Number of trials.
        launch: Where workers run.
        storage: Address of Optuna's database; None takes a journal in the folder of the sweep.
        fold: Numbers of the folds that a trial trains; None takes all.
        runs_dir: Folder of all runs.
        worker: Number of the worker that this process is; None starts them.
        own: Command line of `fit` that all trials share, behind that of the file.
        given: The command line.
    """

    sweep: Sweep
    trials: int
    launch: LauncherOptions
    storage: str | None
    fold: tuple[int, ...] | None
    runs_dir: Path
    worker: int | None
    own: tuple[str, ...]
    given: tuple[str, ...]

    def fit(self, setting: Mapping[str, str]) -> tuple[str, ...]:
        """Return the command line of `fit` of a trial, but for the fold.

        Args:
            setting: Its parameters.

        Raises:
            CommandError: If the parameters, or the file, decide what a sweep decides.
        """
        values = [f"--{key}={text}" for key, text in setting.items()]
        crossval = parse_crossval([*self.sweep.command, *self.own, *values])
        if crossval.fold is not None or crossval.summarize:
            raise usage_error(
                f"sweep: the command of {self.sweep.name} has --fold or --summarize: give --fold "
                "to lightning sweep."
            )
        return (*crossval.fit, f"--runs_dir={self.runs_dir}")


def parse(args: Sequence[str]) -> Options:
    """Read a command line, and the file of the sweep.

    Raises:
        CommandError: If either cannot be read.
    """
    parser = CommandParser(
        "sweep",
        description="Search for the parameters whose cross-validation has the best accuracy on "
        "validation parts. Nothing is tested. Takes every option of `lightning fit` too, for every "
        "trial.",
        epilog="The same command again goes on; on several machines with one --runs_dir it shares "
        "the trials.",
    )
    parser.add_argument("file", type=Path, help="The sweep, e.g. experiments/sweeps/pcnn.yaml.")
    parser.add_argument(
        "--trials", type=positive, help="Number of trials; default: run_cap, or all of a grid."
    )
    parser.add_argument("--fold", type=natural, nargs="+", help="Train these folds only.")
    parser.add_slots("trial")
    parser.add_argument("--workers", type=positive, dest="jobs", help="The same as --jobs.")
    parser.add_argument(
        "--storage", help="A database for Optuna, e.g. sqlite:///sweep.db; default: a journal."
    )
    parser.add_argument("--runs_dir", type=Path, default=Path("runs"), help="Folder of all runs.")
    parser.add_argument("--worker", type=natural, help=argparse.SUPPRESS)
    own = parser.parse_beside_fit(args, _DECIDED)
    sweep = read_sweep(Path(find_packaged(str(own.file))))
    return Options(
        sweep=sweep,
        trials=_trials(sweep, own.trials, own.file),
        launch=own.launch,
        storage=own.storage,
        fold=None if own.fold is None else tuple(sorted(set(own.fold))),
        runs_dir=own.runs_dir,
        worker=own.worker,
        own=tuple(own.fit),
        given=tuple(args),
    )


def _trials(sweep: Sweep, given: int | None, file: Path) -> int:
    wanted = given or sweep.run_cap
    if sweep.method == "grid":
        count = len(grid(sweep.space))
        return count if wanted is None else min(wanted, count)
    if wanted is None:
        raise usage_error(
            f"sweep: give the number of trials, e.g. --trials 40, or run_cap in {file}"
        )
    return wanted
