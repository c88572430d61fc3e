"""What starts steps, on this machine or a cluster, and tells how they end."""

from __future__ import annotations

import signal
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from experiments.jobs.step import Step


@dataclass(eq=False)
class Job(ABC):
    """A step that was started.

    Args:
        step: The step.
        start: Where in the step's log this start begins.
    """

    step: Step
    start: int

    @property
    @abstractmethod
    def exit_code(self) -> int | None:
        """How it ended, negative where a signal did it; None while it runs."""

    def output(self) -> str:
        """Return what it has printed so far."""
        with self.step.log.open("rb") as file:
            file.seek(self.start)
            return file.read().decode(errors="replace")

    def last_line(self) -> str:
        """Return the end of what it has printed so far, to show how it comes along."""
        said = [line.strip() for line in self.output().split("\n") if line.strip()]
        # A bar in a log redraws itself by carriage returns.
        return said[-1].rsplit("\r", 1)[-1][:100] if said else "starting"

    def sentence(self) -> str:
        """Return why it failed, as a person can read it."""
        code = self.exit_code or 0
        if code < 0:
            name = signal.Signals(-code).name
            why = " (out of memory?)" if name == "SIGKILL" else ""
            return f"killed by {name}{why}"
        text = self.output().strip()
        _, found, told = f"\n{text}".rpartition("\nlightning: ")
        return told if found else (text.splitlines() or [f"exit code {code}"])[-1]


class Launcher(ABC):
    """Starts steps.

    Attributes:
        running: What was started or adopted and is not known to have ended.
        look_every: Seconds between two looks at what runs.
    """

    running: Sequence[Job]
    look_every: float = 0.1

    @abstractmethod
    def has_room(self) -> bool:
        """Tell whether one more step may start."""

    def adopt(self, step: Step) -> bool:
        """Take up the job that an earlier command started for a step, if it has not ended.

        Returns:
            Whether there is one; it is among `running` then.
        """
        return False

    @abstractmethod
    def start(self, step: Step) -> None:
        """Start a step, whose log is added to."""

    @abstractmethod
    def ended(self) -> Sequence[Job]:
        """Return what has ended since the last call."""

    @abstractmethod
    def stop(self) -> None:
        """Be left while steps run, after an error or a signal."""
