"""Which step runs when, and what its end means for those that need it."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from datamodules.store.replacing import replacing
from datamodules.store.threads import cores
from experiments.crossval.records import DamagedRecordError, read_record
from experiments.crossval.schedule import checkpoint
from experiments.crossval.work import importable
from experiments.jobs.process import LOG_FILE, Child, child_environment, start_child, stop
from experiments.run.membership import Membership
from experiments.transfer.plan import Plan, Step

_ABOUT = "about.json"
_LOOK_EVERY = 0.1


def is_done(step: Step) -> bool:
    """Tell whether a step left what it was for: weights, or the record of a test."""
    if step.kind == "test":
        try:
            return read_record(step.run.path) is not None
        except DamagedRecordError:
            return False
    try:
        return step.run.status.get("state") == "finished" and checkpoint(step.run).is_file()
    except json.JSONDecodeError:
        return False


class Schedule:
    """Runs the steps of a plan, so many at a time; a step that fails costs only what needs it.

    Args:
        plan: The steps.
        slots: One entry for each step that may run at once: its device, None for any.
        say: Is told how the steps come along, line by line.
        program: What runs `fit` and `test`.

    Attributes:
        failures: Why each step that failed did, by its name; steps that needed it are not here.
    """

    def __init__(
        self,
        plan: Plan,
        slots: Sequence[str | None],
        say: Callable[[str], None],
        program: Sequence[str] = (sys.executable, "-m", "experiments"),
    ) -> None:
        self._plan = plan
        self._say = say
        self._program = program
        self._free = list(reversed(slots))
        self._threads = max(1, cores() // len(slots))
        self._created = _created(plan.folder)
        self._running: dict[str, tuple[Step, Child, str | None]] = {}
        self.failures: dict[str, str] = {}

    def run(self) -> None:
        """Run all steps that are not done."""
        waiting = [step for step in self._plan.steps() if not is_done(step)]
        done = len(self._plan.steps()) - len(waiting)
        self._say(f"{len(waiting)} steps to do, {done} done before")
        try:
            while waiting or self._running:
                waiting = self._fill(waiting)
                time.sleep(_LOOK_EVERY)
                self._look()
        finally:
            stop([child for _, child, _ in self._running.values()])

    def _fill(self, waiting: Sequence[Step]) -> list[Step]:
        """Start what can be; returns what has to wait. What can never start is dropped."""
        left = []
        for step in waiting:
            need = self._plan.need(step)
            if need is not None and self._is_lost(need):
                continue
            if self._free and (need is None or is_done(need)):
                self._start(step)
            else:
                left.append(step)
        return left

    def _is_lost(self, step: Step) -> bool:
        need = self._plan.need(step)
        return str(step) in self.failures or (need is not None and self._is_lost(need))

    def _start(self, step: Step) -> None:
        arguments = self._plan.command(step)
        path = step.run.path
        name = f"{self._created}/{step}"
        told = Membership(
            folder=str(path),
            group=f"{self._plan.experiment}-{self._plan.folder.name}",
            wandb_id=hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest()[:8],
            digest=self._plan.digest(step),
            parent=os.getpid(),
        )
        device = self._free.pop()
        environment = child_environment(
            {**os.environ, **importable()},
            told.environment(),
            device=device,
            threads=self._threads,
        )
        again = ", from its last checkpoint" if step.run.last.exists() else ""
        self._say(f"{step}: started{again}")
        verb: Literal["fit", "test"] = "test" if step.kind == "test" else "fit"
        command = [*self._program, verb, *arguments]
        child = start_child(command, environment, path, fold=0, step=verb)
        self._running[str(step)] = (step, child, device)

    def _look(self) -> None:
        for name, (step, child, device) in list(self._running.items()):
            code = child.process.poll()
            if code is None:
                continue
            del self._running[name]
            self._free.append(device)
            if code == 0 and is_done(step):
                self._say(f"{step}: done")
            else:
                self._fail(step, child.sentence() if code else "it ended without a result")

    def _fail(self, step: Step, why: str) -> None:
        self.failures[str(step)] = why
        self._say(f"{step}: failed: {why}\n  its log: {step.run.path / LOG_FILE}")


def _created(folder: Path) -> str:
    """Return when the folder was made, by which W&B tells it from others of its name."""
    path = folder / _ABOUT
    try:
        created: str = json.loads(path.read_text("utf-8"))["created"]
    except FileNotFoundError:
        created = f"{time.time():.6f}"
        with replacing(path) as aside:
            aside.write_text(json.dumps({"created": created}) + "\n", "utf-8")
    return created
