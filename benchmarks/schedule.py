"""How busy simulated devices are while the real `Runner` runs cross-validations of unequal folds.

Steps take time on a clock that is only counted, so that hours pass in a moment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from benchmarks.measuring import Result
from experiments.jobs.launcher import Job, Launcher
from experiments.jobs.runner import Runner, Watcher
from experiments.jobs.step import Step

_DEVICES, _FOLDS = 8, 10


@dataclass(eq=False)
class _Job(Job):
    """A step that ends at a time."""

    ends: float
    exit_code = 0


class _Devices(Launcher):
    """Devices on which a step takes as long as is said."""

    running: list[_Job]

    def __init__(self, seconds: dict[str, float]) -> None:
        self.seconds, self.now, self.done = seconds, 0.0, set[str]()
        self.running = []

    def has_room(self) -> bool:
        return len(self.running) < _DEVICES

    def start(self, step: Step) -> None:
        self.running.append(_Job(step, 0, self.now + self.seconds[step.name]))

    def sleep(self, _: float) -> None:
        """Let time pass until a step ends; it stands in for `time.sleep`."""
        self.now = min(job.ends for job in self.running)

    def ended(self) -> list[_Job]:
        ended = [job for job in self.running if job.ends <= self.now]
        self.running = [job for job in self.running if job.ends > self.now]
        self.done |= {job.step.name for job in ended}
        return ended

    def stop(self) -> None:
        """Nothing is left to stop."""


def busy_share(lengths: Sequence[float]) -> float:
    """Run a training and a test (a twentieth of it) for each length; return the busy share."""
    seconds = {
        f"{n} {verb}": x
        for n, length in enumerate(lengths)
        for verb, x in (("fit", length), ("test", length / 20))
    }
    devices = _Devices(seconds)

    def step(name: str, *needs: str) -> Step:
        return Step(name, "fit", Path(), list, lambda: name in devices.done, needs)

    queue = Runner(devices, Watcher())
    for n in range(len(lengths)):
        queue.add([step(f"{n} fit"), step(f"{n} test", f"{n} fit")])
    with mock.patch("time.sleep", devices.sleep):
        queue.run()
    return sum(seconds.values()) / (devices.now * _DEVICES)


def measure(*, quick: bool = False) -> Result:
    """Queue 1, 2, 5 and 10 cross-validations of 10 folds whose lengths are 1 to 1.5.

    Ten folds on eight devices take two rounds: whatever the order, two devices run two folds while
    six run one, so that none can keep them busy for more than about 0.7.
    """
    rng = np.random.default_rng(0)
    details: dict[str, Any] = {"devices": _DEVICES, "folds": _FOLDS}
    for validations in (1, 2, 5, 10):
        shares = []
        for _ in range(2 if quick else 50):
            lengths = [rng.permutation(np.linspace(1, 1.5, _FOLDS)) for _ in range(validations)]
            shares.append(busy_share(np.concatenate(lengths).tolist()))
        details[f"busy_{validations}_cross_validations"] = {
            "median": round(float(np.median(shares)), 3),
            "least": round(min(shares), 3),
        }
    return {
        "what": "busy share of 8 devices, five 10-fold cross-validations in one queue",
        "ratio": details["busy_5_cross_validations"]["median"],
        "bound": "at least 0.9",
        "details": details,
    }
