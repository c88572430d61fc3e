"""The share of a training step that is spent waiting for data, once the cache is warm."""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from collections.abc import Sequence
from typing import ClassVar

from lightning.pytorch.profilers import Profiler

from benchmarks.report import Result
from benchmarks.training import LAPTOP, fit

_NEXT = "[_TrainingEpochLoop].train_dataloader_next"
_MOVE = ".batch_to_device"
_STEP = "run_training_batch"
_WARM_UP = 2


def measure(*, quick: bool = False, experiment: Sequence[str] = LAPTOP) -> Result:
    """Time how long each step of `fit` waits for its batch and for it to be on the device.

    Args:
        quick: Whether to run only a few steps.
        experiment: Arguments of the experiment.

    Returns:
        The share of the whole time, with the times a step.
    """
    profiler = f"--trainer.profiler={Waiting.__module__}.{Waiting.__name__}"
    fit(6 if quick else 100, profiler, experiment=experiment)
    ends = [end for _, end in Waiting.spans[_STEP]][_WARM_UP:]
    waits, moves = (
        # Those of the steps whose time is counted: from the end of one to the end of the next.
        [end - begin for begin, end in Waiting.spans[name] if ends[0] <= begin <= ends[-1]]
        for name in (_NEXT, _MOVE)
    )
    steps = len(ends) - 1
    return {
        "what": "time waiting for data / time of a step",
        "ratio": (sum(waits) + sum(moves)) / (ends[-1] - ends[0]),
        "bound": "below 0.05",
        "details": {
            "next_batch_ms": round(1000 * statistics.median(waits), 3),
            "to_device_and_float_ms": round(1000 * statistics.median(moves), 3),
            "step_ms": round(1000 * (ends[-1] - ends[0]) / steps, 2),
            "steps": steps,
        },
    }


class Waiting(Profiler):
    """Notes begin and end of what a step waits for, and of the step itself.

    Attributes:
        spans: Begin and end in seconds of every time that an action ran, in the latest run.
    """

    spans: ClassVar[dict[str, list[tuple[float, float]]]] = defaultdict(list)

    def __init__(self) -> None:
        super().__init__()
        self.spans.clear()
        self._began: dict[str, float] = {}

    def start(self, action_name: str) -> None:
        """Begin an action."""
        self._began[action_name] = time.perf_counter()

    def stop(self, action_name: str) -> None:
        """End an action."""
        name = _MOVE if action_name.endswith(_MOVE) else action_name
        if name in (_NEXT, _MOVE, _STEP):
            self.spans[name].append((self._began[action_name], time.perf_counter()))
