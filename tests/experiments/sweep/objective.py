"""Workers of a sweep whose folds are numbers, to be killed."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from optuna.trial import TrialState

from experiments.sweep.space import Choice, Range
from experiments.sweep.sweep_file import Sweep
from experiments.sweep.trials import Taken, Trials

FOLDS = 5
WANTED = 12
SWEEP = Sweep(
    name="s",
    method="bayes",
    space={"lr": Range(0.0, 1.0), "kind": Choice(("a", "b"))},
    command=(),
    run_cap=None,
    prune_after=None,
)


def value(setting: dict[str, str], fold: int) -> float:
    return 1 - abs(float(setting["lr"]) - 0.5) - 0.1 * (setting["kind"] == "b") + 0.01 * fold


def run(trials: Trials, taken: Taken, pause: float = 0.0) -> None:
    """Do what a worker does with a trial."""
    values = []
    with taken.held:
        for fold in range(FOLDS):
            if fold and taken.trial.should_prune():
                trials.study.tell(taken.trial, state=TrialState.PRUNED)
                return
            time.sleep(pause)
            values.append(value(taken.setting, fold))
            taken.trial.report(values[-1], step=fold)
        trials.study.tell(taken.trial, sum(values) / FOLDS)


if __name__ == "__main__":
    shared = Trials(Path(sys.argv[1]), SWEEP, WANTED, None)
    while (next_one := shared.take()) is not None:
        run(shared, next_one, pause=0.02)
