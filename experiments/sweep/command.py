"""`lightning sweep`: search for parameters by validation, with several workers, and go on."""

from __future__ import annotations

import hashlib
import json
import signal
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from callbacks.records.source import source_state
from experiments.command.errors import CommandError
from experiments.jobs.context import StepContext
from experiments.jobs.launch import detach, make_launcher
from experiments.jobs.launcher import Job, Launcher
from experiments.jobs.runner import Runner, Watcher
from experiments.jobs.signals import ends_in_order
from experiments.jobs.slurm import refuse_several_tasks
from experiments.jobs.step import PROGRAM, Step
from experiments.sweep.arguments import Options, parse
from experiments.sweep.space import corners
from experiments.sweep.trials import MOST_STARTS, Trials

_LOOK_EVERY = 2.0
_SHOW_EVERY = 60.0
_SIGNALLED = 128  # exit codes above are those of signals


def sweep(args: Sequence[str]) -> None:
    """Run `lightning sweep`.

    Raises:
        CommandError: If the command line or the file is wrong, or no trial succeeds.
    """
    refuse_several_tasks("sweep")
    options = parse(args)
    StepContext.forget()  # by which a worker was told to end with the command
    folder = _folder(options)
    trials = Trials(folder, options.sweep, options.trials, options.storage)

    def progress() -> str:
        return f"{len(trials.told())} of {options.trials} trials are done"

    if options.worker is not None:
        from experiments.sweep.worker import work

        # As a step it leaves SLURM's warning to the command, which is on another machine.
        signal.signal(signal.SIGUSR1, signal.SIG_DFL)
        with ends_in_order(progress):
            work(options, trials)
        return
    print(f"Sweep: {folder}", flush=True)
    _refuse_other_commit(trials, folder)
    trials.prepare()
    if trials.told():
        print(progress(), flush=True)
    if not trials.nothing_left():
        if options.launch.detach:
            detach(options.launch, "sweep", args, folder)
            return
        launcher = make_launcher(options.launch)
        with ends_in_order(progress):
            Workers(options, folder, trials, launcher).run()
    # Late: Matplotlib takes a second, which no worker needs.
    from experiments.sweep.report import write_report

    write_report(folder, options, trials)


def _folder(options: Options) -> Path:
    """Name the folder of a sweep, after the settings at the edges of its space were checked.

    Raises:
        CommandError: If one of them is no experiment.
    """
    from experiments.command.console import quiet
    from experiments.command.resolve import ResolvedExperiment

    first, *others = map(options.fit, corners(options.sweep.space))
    with quiet():
        digest = ResolvedExperiment(first).digest
        for fit in others if options.worker is None else ():
            ResolvedExperiment(fit)
    search = options.sweep
    space = {key: asdict(parameter) for key, parameter in search.space.items()}
    decisive = [digest, search.method, space, search.prune_after, options.fold]
    own = hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()
    return options.runs_dir / "sweeps" / f"{search.name}-{own[:6]}"


def _refuse_other_commit(trials: Trials, folder: Path) -> None:
    now = (source_state() or {}).get("commit")
    begun = trials.study.user_attrs.get("commit", now)
    if trials.told() and begun != now:
        raise CommandError(
            f"The trials in {folder} were made with commit {begun}, and this is {now}: check that "
            "one out to go on, or move that folder away to start anew."
        )
    trials.study.set_user_attr("commit", now)


class Workers(Watcher):
    """Has workers run, so many at a time, and another one where one is killed.

    Args:
        options: What was asked for.
        folder: Folder of the sweep.
        trials: Its trials.
        launcher: Where workers run.
    """

    def __init__(self, options: Options, folder: Path, trials: Trials, launcher: Launcher) -> None:
        self._options, self._folder, self._trials = options, folder, trials
        self._runner = Runner(launcher, self)
        self._made = 0
        self._said = {trial.number for trial in trials.told()}
        self._looked_at = self._shown_at = time.monotonic()

    def run(self) -> None:
        """Run workers until every trial is done."""
        # No more are needed, and the launcher starts as many as there is room for.
        for _ in range(self._options.trials):
            self._add()
        self._runner.run()
        self._tell()

    def look(self, jobs: Sequence[Job]) -> None:
        """Say how the trials went that ended since the last look, and now and then all others."""
        now = time.monotonic()
        if now - self._looked_at >= _LOOK_EVERY:
            self._looked_at = now
            self._tell()
        if now - self._shown_at >= _SHOW_EVERY:
            self._shown_at = now
            for job in jobs:
                print(f"{job.step.name}: {job.last_line()}", flush=True)

    def done(self, step: Step) -> None:
        """Start no further worker where one found nothing left to do."""
        self._runner.drop_waiting()

    def failed(self, step: Step, why: str, exit_code: int) -> None:
        """Start another worker where one was killed, which takes up its trial.

        Raises:
            CommandError: If it was not killed, or too many were.
        """
        if 0 < exit_code < _SIGNALLED or self._made > MOST_STARTS * self._options.trials:
            raise CommandError(f"{why} (its log: {step.log})", max(exit_code, 1))
        print(f"{step.name}: {why}; another one takes up its trial", flush=True)
        self._add()

    def _add(self) -> None:
        number, self._made = self._made, self._made + 1
        folder = self._folder / "workers" / f"{number:02d}"
        command = [*PROGRAM, "sweep", *self._options.given, f"--worker={number}"]

        def environment() -> dict[str, str]:
            return StepContext(str(folder), self._folder.name, "", "").environment()

        step = Step(
            name=f"worker {number}",
            verb="sweep",
            folder=folder,
            command=lambda: command,
            is_done=self._trials.nothing_left,
            environment=environment,
        )
        self._runner.add([step])

    def _tell(self) -> None:
        for trial in self._trials.told():
            if trial.number in self._said:
                continue
            self._said.add(trial.number)
            folds = list(trial.intermediate_values.values())
            mean = f"{100 * sum(folds) / len(folds):.1f} %" if folds else "no fold"
            how = {"COMPLETE": "", "PRUNED": ", stopped early"}.get(trial.state.name, ", failed")
            print(f"trial {trial.number}: {mean} over {len(folds)} folds{how}", flush=True)
