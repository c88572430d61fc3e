"""The folds of a cross-validation as steps: trained, then tested, the first one ahead."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from callbacks.records.fold_record import SPLIT_FILE, read_record
from experiments.command.errors import CommandError
from experiments.crossval.folder import CrossvalFolder
from experiments.crossval.progress import FoldProgress
from experiments.jobs.context import StepContext
from experiments.jobs.runner import Job, Launcher, Runner, Watcher
from experiments.jobs.step import Step
from experiments.jobs.training import lightning_step, trained_weights

_USAGE_ERROR = 2


def fold_steps(folder: CrossvalFolder, fold: int, fit: Sequence[str]) -> list[Step]:
    """Make the steps of a fold.

    Args:
        folder: Folder of the cross-validation.
        fold: Number of the fold.
        fit: Command line of `fit` that all folds share.

    Returns:
        Its training and its test.
    """
    run = folder.fold(fold)
    name = run.path.name
    arguments = [*fit, f"--data.fold={fold}"]

    def context() -> StepContext:
        description = folder.description()
        return StepContext(
            folder=str(run.path),
            group=description.group,
            wandb_id=description.wandb_id(name),
            digest=description.config_hash,
        )

    def test_arguments() -> list[str]:
        return [*arguments, f"--ckpt_path={trained_weights(run)}"]

    train = lightning_step(f"{name} fit", "fit", run, lambda: arguments, context)
    test = lightning_step(f"{name} test", "test", run, test_arguments, context, (train.name,))
    return [train, test]


class FoldQueue(Watcher):
    """Has folds run, so many at a time.

    The first one starts alone, until its data are set up: it builds the caches that all share, it
    tells how many folds there are, and where it fails already all others would.

    Args:
        folder: Folder of the cross-validation.
        fit: Command line of `fit` that all folds share.
        launcher: Where folds run.
        progress: Shows how they come along.
        expected: `folds_hash` and `manifest_hash` of folds that were finished before.

    Attributes:
        failures: Why folds failed, by their numbers.
    """

    def __init__(
        self,
        folder: CrossvalFolder,
        fit: Sequence[str],
        launcher: Launcher,
        progress: FoldProgress,
        expected: tuple[str, str] | None = None,
    ) -> None:
        self.failures: dict[int, str] = {}
        self._folder = folder
        self._fit = fit
        self._progress = progress
        self._expected = expected
        self._runner = Runner(launcher, self)
        self._all = False
        self._data_known = False
        self._split_before = 0

    def run(self, folds: Sequence[int] | None) -> None:
        """Run folds until all are done or failed.

        Args:
            folds: Their numbers; None takes all that there are.

        Raises:
            CommandError: If all folds would fail, with the sentence of the first.
        """
        self._all = folds is None
        self._add(range(self._folder.num_folds() or 1) if folds is None else folds)
        self._runner.run()

    def may_start(self, step: Step) -> bool:
        """Keep all others back until the data of the first fold are set up."""
        return self._data_known

    def starting(self, step: Step) -> None:
        """Note which split there is already, and show that a step starts."""
        self._split_before = _modified(step.folder / SPLIT_FILE)
        resumed = step.verb == "fit" and self._folder.fold(_fold(step)).last.exists()
        self._progress.started(_fold(step), step.verb, resumed)

    def look(self, jobs: Sequence[Job]) -> None:
        """Add all folds once their number is known, and show what those that run say."""
        for job in jobs:
            if not self._data_known:
                self._look_at_data(job.step)
        self._progress.look({_fold(job.step): job.output for job in jobs})

    def done(self, step: Step) -> None:
        """Show how a fold went."""
        record = read_record(step.folder) if step.verb == "test" else None
        if record is not None:
            self._progress.finished(_fold(step), record)

    def failed(self, step: Step, why: str, exit_code: int) -> None:
        """Go on with the others, unless all of them would fail in the same way."""
        if exit_code > 0 and not self._data_known:
            raise CommandError(why, exit_code)
        if exit_code == _USAGE_ERROR:  # a config file was changed meanwhile
            self._runner.drop_waiting()
        self.failures[_fold(step)] = why
        self._progress.failed(_fold(step), why, step.log)

    def _add(self, folds: Iterable[int]) -> None:
        numbers = list(folds)
        steps = [step for fold in numbers for step in fold_steps(self._folder, fold, self._fit)]
        self._runner.add(steps)
        self._progress.count(len(numbers))

    def _look_at_data(self, step: Step) -> None:
        if _modified(step.folder / SPLIT_FILE) == self._split_before:
            return
        split = self._folder.split(_fold(step))
        if split is None:
            return
        self._data_known = True
        if self._expected not in (None, (split["folds_hash"], split["manifest_hash"])):
            raise CommandError(
                f"The data have changed since other folds in {self._folder.path} were tested: "
                "restore them, or move that folder away to start anew."
            )
        if self._all:
            # Now it is certain how many there are.
            self._add(range(int(split["folds"])))


def _fold(step: Step) -> int:
    return int(step.folder.name.removeprefix("fold_"))


def _modified(path: Path) -> int:
    """Tell one version of a file from the next."""
    return path.stat().st_mtime_ns if path.exists() else 0
