"""A worker of a sweep: trains the folds of one trial after the other."""

from __future__ import annotations

from collections.abc import Sequence

import optuna
from optuna.trial import TrialState

from callbacks.statistics import estimate
from experiments.command.console import quiet
from experiments.command.errors import CommandError, usage_error
from experiments.command.resolve import ResolvedExperiment
from experiments.crossval.command import check_before, describe
from experiments.crossval.folder import CrossvalFolder, open_folder
from experiments.crossval.folds import fold_steps
from experiments.jobs.local import LocalLauncher
from experiments.jobs.lock import lock_steps
from experiments.jobs.runner import Runner, Watcher
from experiments.jobs.step import Step
from experiments.run.validation import chosen_validation
from experiments.sweep.arguments import Options
from experiments.sweep.trials import FOLDER, WHY, Taken, Trials

ACCURACY = "val/accuracy"
_USAGE_ERROR = 2
_MOST_FAILURES = 3


def work(options: Options, trials: Trials) -> None:
    """Run trials until none is left.

    Raises:
        CommandError: If a trial's command line is wrong, or several trials in a row fail.
    """
    launcher = LocalLauncher([None])
    failures = 0
    while (taken := trials.take()) is not None:
        with taken.held:
            name = f"trial {taken.trial.number}"
            print(f"{name}: {' '.join(f'{k}={v}' for k, v in taken.setting.items())}", flush=True)
            try:
                _run(taken, options, trials.study, launcher)
                failures = 0
            except CommandError as error:
                if error.exit_code == _USAGE_ERROR:
                    raise
                taken.trial.set_user_attr(WHY, str(error))
                trials.study.tell(taken.trial, state=TrialState.FAIL)
                print(f"{name}: failed: {error}", flush=True)
                failures += 1
                if failures == _MOST_FAILURES:
                    raise CommandError(
                        f"{failures} trials in a row failed, the last one: {error}"
                    ) from None


def _run(taken: Taken, options: Options, study: optuna.Study, launcher: LocalLauncher) -> None:
    """Train the folds of a trial, and tell the mean of their validation accuracies."""
    fit = options.fit(taken.setting)
    folder = trial_folder(fit)
    taken.trial.set_user_attr(FOLDER, str(folder.path))
    values: list[float] = []
    with lock_steps(folder.path):
        check_before(folder)
        while len(values) < len(folds := _folds(folder, options.fold)):
            if values and taken.trial.should_prune():
                study.tell(taken.trial, state=TrialState.PRUNED)
                return
            fold = folds[len(values)]
            _train(fold_steps(folder, fold, fit)[0], launcher)
            values.append(validation_accuracy(folder, fold))
            print(f"trial {taken.trial.number}, fold {fold}: {values[-1]:.4f}", flush=True)
            taken.trial.report(values[-1], step=fold)
    study.tell(taken.trial, estimate(values).mean)


def trial_folder(fit: tuple[str, ...]) -> CrossvalFolder:
    """Find or make the folder of the cross-validation that a command line of `fit` comes to."""
    with quiet():
        experiment = ResolvedExperiment(fit)
    return open_folder(experiment.runs_dir, describe(experiment, fit))


def validation_accuracy(folder: CrossvalFolder, fold: int) -> float:
    """Read the accuracy of a trained fold on its validation part, from 0 to 1.

    It is that of the weights that `checkpoint.monitor` chose. Nothing of a test is read, also where
    the fold was tested.

    Raises:
        CommandError: If the validation logged none.
    """
    path = folder.fold(fold).path
    value = chosen_validation(path).get(ACCURACY)
    if value is None:
        raise usage_error(f"The validation in {path} logged no finite {ACCURACY}, to search by.")
    return value


def _folds(folder: CrossvalFolder, wanted: tuple[int, ...] | None) -> Sequence[int]:
    """Return the numbers of the folds; how many there are is known once the first is trained."""
    return range(folder.num_folds() or 1) if wanted is None else wanted


class _Ending(Watcher):
    """Ends a trial where the training of a fold fails."""

    def failed(self, step: Step, why: str, exit_code: int) -> None:
        """Say which fold it was.

        Raises:
            CommandError: Always.
        """
        raise CommandError(
            f"{step.folder.name.replace('_', ' ')}: {why} (its log: {step.log})", max(exit_code, 1)
        )


def _train(step: Step, launcher: LocalLauncher) -> None:
    runner = Runner(launcher, _Ending())
    runner.add([step])
    runner.run()
