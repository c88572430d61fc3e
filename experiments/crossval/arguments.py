"""The command line of `lightning crossval`: its own options, and those of `fit` for every fold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from experiments.command.arguments import CommandParser, natural, positive
from experiments.jobs.options import LauncherOptions

# What a cross-validation decides for its folds, and what to say to a person who does.
_DECIDED = {
    "--ckpt_path": "every fold starts from fresh weights",
    "--data.fold": "all folds are run, or one by --fold",
    "--fresh": "move or delete its folder to start anew",
}


@dataclass(frozen=True)
class Options:
    """What `lightning crossval` was asked for.

    Args:
        fold: The only fold to run; None runs all.
        launch: Where folds run.
        summarize: Whether to run nothing and sum up what there is.
        fit: Command line of `fit` that all folds share.
    """

    fold: int | None
    launch: LauncherOptions
    summarize: bool
    fit: tuple[str, ...]


def parse(args: Sequence[str]) -> Options:
    """Read a command line.

    Raises:
        CommandError: If it cannot be read.
    """
    parser = CommandParser(
        "crossval",
        description="Cross-validate an experiment, every fold as processes of its own. "
        "Takes every option of `lightning fit` too.",
        epilog="The same command again skips finished folds and resumes started ones.",
    )
    parser.add_argument("--folds", type=positive, help="Number of folds (data.folds).")
    parser.add_argument("--fold", type=natural, help="Run this one only, e.g. in a cluster array.")
    parser.add_slots("fold")
    parser.add_argument(
        "--summarize", action="store_true", help="Run nothing; sum up the folds that there are."
    )
    own = parser.parse_beside_fit(args, _DECIDED)
    folds = [] if own.folds is None else [f"--data.folds={own.folds}"]
    return Options(own.fold, own.launch, own.summarize, (*own.fit, *folds))
