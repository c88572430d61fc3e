"""Runs the folds of all cells of a study, the first fold of each row before the second of any."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from experiments.crossval.folds import fold_steps, result_of
from experiments.jobs.context import StepContext, wandb_id
from experiments.jobs.launcher import Job, Launcher
from experiments.jobs.runner import Runner, Watcher
from experiments.jobs.step import Step, lightning_step
from experiments.study.arguments import Pretraining
from experiments.study.cells import Cell


class StudyQueue(Watcher):
    """Has the folds of cells run, and prints a line for each that ends.

    Args:
        cells: What is to be filled.
        launcher: Where folds run.
    """

    def __init__(self, cells: Sequence[Cell], launcher: Launcher) -> None:
        self._cells: dict[Path, Cell] = {}
        for cell in cells:  # rows may share one, which then goes by the name of the first
            self._cells.setdefault(cell.folder.path, cell)
        self._growing = [cell for cell in self._cells.values() if cell.wanted is None]
        self._runner = Runner(launcher, self)

    def run(self) -> None:
        """Run all folds that are not done; one that fails does not stop the others."""
        wanted = {cell: cell.wanted or (0,) for cell in self._cells.values()}
        for place in range(max(map(len, wanted.values()), default=0)):
            for cell, folds in wanted.items():
                if place < len(folds):
                    self._add(cell, folds[place])
        print(f"{len(self._runner.waiting)} steps to do", flush=True)
        self._runner.run()

    def look(self, jobs: Sequence[Job]) -> None:
        """Add the folds of cells whose data now tell how many there are."""
        for cell in [cell for cell in self._growing if cell.wanted is not None]:
            self._growing.remove(cell)
            for fold in cell.wanted or ():
                self._add(cell, fold)

    def starting(self, step: Step) -> None:
        """Say that a training starts."""
        if step.verb == "fit":
            print(f"{self._name(step)}: training", flush=True)

    def adopted(self, step: Step) -> None:
        """Say that a training or a test goes on."""
        print(f"{self._name(step)}: {step.verb}, by the job of an earlier command", flush=True)

    def done(self, step: Step) -> None:
        """Say how a fold went."""
        if step.verb == "test":
            about = self._cells[step.folder.parent].folder.description()
            print(f"{self._name(step)}: {result_of(step, about.headline)}", flush=True)

    def failed(self, step: Step, why: str, exit_code: int) -> None:
        """Name the fold and its log."""
        print(f"{self._name(step)}: failed: {why}\n  its log: {step.log}", flush=True)

    def _add(self, cell: Cell, fold: int) -> None:
        train, test = fold_steps(cell.folder, fold, cell.plan.fit)
        if cell.plan.pretraining is not None:
            first = pretraining_step(cell.plan.pretraining)
            self._runner.add([first])
            train = replace(train, needs=(first.name,))
        self._runner.add([train, test])

    def _name(self, step: Step) -> str:
        if step.folder.parent not in self._cells:
            return step.name
        plan = self._cells[step.folder.parent].plan
        return f"{plan.row}, {plan.data}, seed {plan.seed}, {step.folder.name.replace('_', ' ')}"


def pretraining_step(pretraining: Pretraining) -> Step:
    """Make the step of a pretraining."""
    run, fit = pretraining.run, pretraining.fit
    name = f"pretraining on {pretraining.data} ({run.path.name})"

    def context() -> StepContext:
        # Late, since it takes seconds to import and to resolve.
        from experiments.command.console import quiet
        from experiments.command.resolve import ResolvedExperiment

        with quiet():
            digest = ResolvedExperiment(fit).digest
        return StepContext(
            folder=str(run.path),
            group="pretrained",
            wandb_id=wandb_id(str(run.path)),
            digest=digest,
        )

    return lightning_step(name, "fit", run, lambda: fit, context)
