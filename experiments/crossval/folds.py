"""The folds of a cross-validation as steps: trained, then tested, the first one ahead.

How they come along is shown by a bar on a terminal, by lines elsewhere.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from callbacks.records.fold_record import SPLIT_FILE, read_record
from experiments.command.errors import CommandError
from experiments.crossval.folder import CrossvalFolder
from experiments.crossval.summary import ONE_SPLIT, headline_accuracy
from experiments.jobs.context import StepContext
from experiments.jobs.launcher import Job, Launcher
from experiments.jobs.runner import Runner, Watcher
from experiments.jobs.step import Step, lightning_step, trained_weights

_USAGE_ERROR = 2
_LINES_EVERY = 60.0
_BAR_EVERY = 1.0
_DOING = {"fit": "training", "test": "testing"}


def fold_steps(folder: CrossvalFolder, fold: int, fit: Sequence[str]) -> list[Step]:
    """Make the steps of a fold: its training and its test."""
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

    train = lightning_step(f"{run.path} fit", "fit", run, lambda: arguments, context)
    test = lightning_step(f"{run.path} test", "test", run, test_arguments, context, (train.name,))
    return [train, test]


def result_of(step: Step, headline: Sequence[str] | None) -> str | None:
    """Say how accurate a tested fold is, see `headline_accuracy`; None for a training."""
    record = read_record(step.folder) if step.verb == "test" else None
    if record is None:
        return None
    accuracy = headline_accuracy(record, headline)
    return "done" if accuracy is None else f"done, accuracy {100 * accuracy:.1f} %"


class FoldQueue(Watcher):
    """Has folds run, so many at a time, and shows how they come along.

    The first one starts alone, until its data are set up: it builds the caches that all share, it
    tells how many folds there are, and where it fails already all others would.

    Args:
        folder: Folder of the cross-validation.
        fit: Command line of `fit` that all folds share.
        launcher: Where folds run.
        expected: `folds_hash` and `manifest_hash` of folds that were finished before.
        finished_before: Number of those folds.
        on_finished: Called after each fold that is done.
        console: Where to show it; the standard error by default.

    Attributes:
        failures: Why folds failed, by their numbers.
    """

    def __init__(
        self,
        folder: CrossvalFolder,
        fit: Sequence[str],
        launcher: Launcher,
        *,
        expected: tuple[str, str] | None = None,
        finished_before: int = 0,
        on_finished: Callable[[], None] = lambda: None,
        console: Console | None = None,
    ) -> None:
        self.failures: dict[int, str] = {}
        self._folder = folder
        self._fit = fit
        self._runner = Runner(launcher, self)
        self._expected = expected
        self._on_finished = on_finished
        self._headline = folder.description().headline
        self._all = False
        self._data_known = False
        self._split_before = 0
        self._console = console or Console(stderr=True)
        self._bar = Progress(
            TextColumn("folds"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.description}"),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task("", total=None, completed=finished_before)
        self._looked_at = time.monotonic()

    def run(self, folds: Sequence[int] | None) -> None:
        """Run folds until all are done or failed.

        Args:
            folds: Their numbers; None takes all that there are.

        Raises:
            CommandError: If all folds would fail, with the sentence of the first.
        """
        self._all = folds is None
        with self._bar:
            self._add(range(self._folder.num_folds() or 1) if folds is None else folds)
            self._runner.run()

    def say(self, line: str) -> None:
        """Print a line above the bar."""
        self._console.print(line, soft_wrap=True, highlight=False, markup=False)

    def may_start(self, step: Step) -> bool:
        """Keep all others back until the data of the first fold are set up."""
        return self._data_known

    def starting(self, step: Step) -> None:
        """Note which split there is already, and say that a training or a test starts."""
        self._split_before = _modified(step.folder / SPLIT_FILE)
        resumed = step.verb == "fit" and self._folder.fold(_fold(step)).last.exists()
        again = ", from its last checkpoint" if resumed else ""
        self.say(f"fold {_fold(step)}: {_DOING[step.verb]}{again}")

    def adopted(self, step: Step) -> None:
        """Say that a training or a test goes on; its split, if there is one, is that of its job."""
        self.say(f"fold {_fold(step)}: {_DOING[step.verb]}, by the job of an earlier command")

    def look(self, jobs: Sequence[Job]) -> None:
        """Add all folds once their number is known; show the last line of each that runs."""
        for job in jobs:
            if not self._data_known:
                self._look_at_data(job.step)
        every = _BAR_EVERY if self._console.is_terminal else _LINES_EVERY
        if time.monotonic() - self._looked_at < every:
            return
        self._looked_at = time.monotonic()
        lines = [f"fold {_fold(job.step)}: {job.last_line()}" for job in jobs]
        if self._console.is_terminal:
            self._bar.update(self._task, description=escape("; ".join(lines)))
        else:
            for line in lines:
                self.say(line)

    def done(self, step: Step) -> None:
        """Say how a fold went."""
        if (result := result_of(step, self._headline)) is None:
            return
        self._bar.advance(self._task)
        self.say(f"fold {_fold(step)}: {result}")
        self._on_finished()

    def failed(self, step: Step, why: str, exit_code: int) -> None:
        """Go on with the others, unless all of them would fail in the same way."""
        if exit_code > 0 and not self._data_known:
            raise CommandError(why, exit_code)
        if exit_code == _USAGE_ERROR:  # a config file was changed meanwhile
            self._runner.drop_waiting()
        self.failures[_fold(step)] = why
        self.say(f"fold {_fold(step)}: failed: {why}\n  its log: {step.log}")

    def _add(self, folds: Sequence[int]) -> None:
        for fold in folds:
            self._runner.add(fold_steps(self._folder, fold, self._fit))
        self._bar.update(self._task, total=len(folds))

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
            if split["folds"] == 1:
                self.say(ONE_SPLIT)


def _fold(step: Step) -> int:
    return int(step.folder.name.removeprefix("fold_"))


def _modified(path: Path) -> int:
    """Tell one version of a file from the next."""
    return path.stat().st_mtime_ns if path.exists() else 0
