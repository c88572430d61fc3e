"""What the benchmarks share: their result, a clock, a watch on memory, and turns of two things."""

from __future__ import annotations

import math
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypedDict


class Result(TypedDict):
    """The result of one benchmark.

    Attributes:
        what: The ratio in words.
        ratio: The measured ratio.
        bound: What it is held to, in words.
        details: The numbers behind it, with their units in the keys; ``interval``, where turns were
            taken, is the 95 % interval of the ratio.
    """

    what: str
    ratio: float
    bound: str
    details: dict[str, Any]


class Seconds(NamedTuple):
    """How long something took.

    Attributes:
        wall: Seconds on the wall.
        processor: Seconds of all cores together that this process worked, which leave out what
            other processes of a busy machine take away.
    """

    wall: float
    processor: float


class Clock:
    """Measures how long something takes."""

    def __init__(self) -> None:
        self._began = time.perf_counter(), time.process_time()

    def read(self) -> Seconds:
        """Return the time since the clock was made."""
        return Seconds(time.perf_counter() - self._began[0], time.process_time() - self._began[1])


def timed(action: Callable[..., Any], *args: Any) -> Seconds:
    """Do something; return how long it took."""
    clock = Clock()
    action(*args)
    return clock.read()


def take_turns(actions: Sequence[Callable[[], Any]], turns: int) -> list[list[Seconds]]:
    """Time several things in turns, so that what else the machine does meets all of them.

    Returns:
        The times of each, turn by turn.
    """
    times = [[timed(action) for action in actions] for _ in range(turns)]
    return [list(column) for column in zip(*times, strict=True)]


def median_ratio(ones: Sequence[float], others: Sequence[float]) -> float:
    """Return the median over the turns of how one time is to the other."""
    return statistics.median(one / other for one, other in zip(ones, others, strict=True))


def median_interval(values: Sequence[float]) -> tuple[float, float]:
    """Return the interval between order statistics that holds the median at 95 %, or all values."""
    ordered, count = sorted(values), len(values)
    outside, rank = 0.5**count, 0
    while rank < (count - 1) // 2:
        more = math.comb(count, rank + 1) * 0.5**count
        if outside + more > 0.025:
            break
        outside, rank = outside + more, rank + 1
    return ordered[rank], ordered[count - 1 - rank]


def ratio_interval(ones: Sequence[float], others: Sequence[float]) -> list[float]:
    """Return the interval of `median_ratio`."""
    ratios = [one / other for one, other in zip(ones, others, strict=True)]
    return [round(end, 3) for end in median_interval(ratios)]


def milliseconds(times: Sequence[Seconds], digits: int = 2, parts: int = 1) -> list[float]:
    """Return the time of each turn on the wall, divided by the number of its equal parts."""
    return [round(1000 * one.wall / parts, digits) for one in times]


class Watch:
    """Samples the anonymous memory of this process in a thread and keeps the highest, in MB."""

    def __init__(self) -> None:
        self.peak = _anonymous_mb()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()
        self.peak = max(self.peak, _anonymous_mb())

    def _sample(self) -> None:
        while not self._stop.is_set():
            self.peak = max(self.peak, _anonymous_mb())
            time.sleep(0.002)


def _anonymous_mb() -> float:
    for line in Path("/proc/self/status").read_text("utf-8").splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise RuntimeError("This system does not tell the anonymous memory of a process (RssAnon).")
