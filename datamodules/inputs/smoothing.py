"""Probabilities averaged over time, each person's by itself."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

DEFAULT_SECONDS = 0.5
"""A felt expression takes half a second to four (Ekman, 2003); a mean over less flickers."""

_FORGOTTEN = 60.0  # seconds after which a person is not remembered


class _Mean(NamedTuple):
    time: float
    values: NDArray[np.float64]


class Smoothing:
    """An exponential mean of what is said about each person of a recording.

    After a step of time dt a new value counts 1 - exp(-dt / seconds), so that it does not matter
    how many frames a second has. Only the past is needed: streams are smoothed as they come, and
    the memory needed does not grow with a film.

    Args:
        seconds: Time constant, above 0.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._source = ""
        self._means: dict[int, _Mean] = {}

    def update(
        self, source: str, track: int, time: float, values: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Take the values [K] of a frame in, and return their mean [K] by then.

        Args:
            source: The recording; all of its frames come in a row.
            track: The person in it.
            time: In seconds, see `tracks.time_of`.
            values: Such as probabilities.
        """
        if source != self._source:
            self._source, self._means = source, {}
        before = self._means.get(track)
        if before is not None:
            share = 1 - math.exp(-max(time - before.time, 0.0) / self.seconds)
            values = before.values + share * (values - before.values)
        self._means[track] = _Mean(time, values)
        gone = [n for n, mean in self._means.items() if time - mean.time > _FORGOTTEN]
        for number in gone:
            del self._means[number]
        return values
