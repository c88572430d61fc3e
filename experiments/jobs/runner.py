"""Runs steps behind those that they need, skips what is done, and goes on where one fails."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from experiments.jobs.launcher import Job, Launcher
from experiments.jobs.step import Step


class Watcher:
    """Is told how the steps come along; what a subclass does not care for does nothing."""

    def may_start(self, step: Step) -> bool:
        """Tell whether a step may start beside those that run.

        Args:
            step: A step whose needs are done. It is not asked for where no other runs.
        """
        return True

    def starting(self, step: Step) -> None:
        """Be called before a step starts."""

    def adopted(self, step: Step) -> None:
        """Be called in place of `starting` where an earlier command's job still does the step."""

    def look(self, jobs: Sequence[Job]) -> None:
        """Be called every `Launcher.look_every` seconds; steps may be added here.

        Args:
            jobs: What runs, and what has just ended.
        """

    def done(self, step: Step) -> None:
        """Be called when a step has left what it is for."""

    def failed(self, step: Step, why: str, exit_code: int) -> None:
        """Be called when a step has failed; an error raised here ends all.

        Args:
            step: The step.
            why: A sentence.
            exit_code: 0 where it left nothing in spite of it, negative for a signal.
        """


class Runner:
    """Runs steps until each is done, has failed, or needs one that has.

    Steps that are done are not run, so that the same steps given again go on where they were.

    Args:
        launcher: Starts them and tells how they end; nothing else here knows where they run.
        watcher: Is told how they come along.

    Attributes:
        failures: Why steps failed, by their names; those that needed them are not here.
    """

    def __init__(self, launcher: Launcher, watcher: Watcher) -> None:
        self.failures: dict[str, str] = {}
        self._launcher = launcher
        self._watcher = watcher
        self._known: set[str] = set()
        self._done: set[str] = set()
        self._lost: set[str] = set()
        self._waiting: list[Step] = []

    @property
    def waiting(self) -> Sequence[Step]:
        """What is not done and was not started, in the order in which it will be."""
        return tuple(self._waiting)

    def add(self, steps: Iterable[Step]) -> None:
        """Add steps, also while others run; those known already are left out.

        Args:
            steps: In the order to start them, each behind those that it needs.

        Raises:
            ValueError: If a step needs one that is not known.
        """
        for step in steps:
            if step.name in self._known:
                continue
            if unknown := set(step.needs) - self._known:
                raise ValueError(f"{step.name} needs {', '.join(unknown)}, which is not known.")
            self._known.add(step.name)
            if step.is_done():
                self._done.add(step.name)
            else:
                self._waiting.append(step)

    def drop_waiting(self) -> None:
        """Start none of the steps that wait."""
        self._waiting.clear()

    def run(self) -> None:
        """Run all steps; what runs when an error or a signal comes is stopped."""
        try:
            self._start_what_may()
            while self._launcher.running:
                time.sleep(self._launcher.look_every)
                # Ended before they are looked at, so that what they left last is seen.
                ended = self._launcher.ended()
                self._watcher.look([*ended, *self._launcher.running])
                for job in ended:
                    self._end(job)
                self._start_what_may()
        finally:
            self._launcher.stop()

    def _start_what_may(self) -> None:
        waiting, self._waiting = self._waiting, []
        for step in waiting:
            if self._lost.intersection(step.needs):
                self._lost.add(step.name)
            elif self._done.issuperset(step.needs) and self._has_room_for(step):
                if self._launcher.adopt(step):
                    self._watcher.adopted(step)
                else:
                    step.forget_failure()
                    self._watcher.starting(step)
                    self._launcher.start(step)
            else:
                self._waiting.append(step)

    def _has_room_for(self, step: Step) -> bool:
        # With nothing running there is nothing that could open the gate later.
        return self._launcher.has_room() and (
            not self._launcher.running or self._watcher.may_start(step)
        )

    def _end(self, job: Job) -> None:
        step, code = job.step, job.exit_code or 0
        if code == 0 and step.is_done():
            self._done.add(step.name)
            self._watcher.done(step)
            return
        why = job.sentence() if code else f"its {step.verb} ended without a result"
        step.record_failure(why)
        self.failures[step.name] = why
        self._lost.add(step.name)
        self._watcher.failed(step, why, code)
