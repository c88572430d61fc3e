"""Probabilities of the people of a film over time."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from callbacks.figures.pictures import new_figure, set_title
from callbacks.figures.style import class_colours
from callbacks.records.rows import SMOOTHED
from datamodules.inputs.tracks import time_of

_MOST_POINTS = 1_000  # of a person's line; beyond, neighbours are averaged
_MOST_PEOPLE = 6
_MOST_KEPT = 500  # people kept at all: of a street there are thousands, each in sight for seconds


class Timeline:
    """Collects rows of one film, at so many points a person whatever the length of the film.

    Args:
        classes: Names of the classes.

    Attributes:
        tracks: Of each person frame, seconds, and the probabilities of the classes at that time.
    """

    def __init__(self, classes: Sequence[str]) -> None:
        self.classes = classes
        self.tracks: dict[int, list[tuple[float, ...]]] = {}
        self._steps: dict[int, int] = {}
        self._rows: Counter[int] = Counter()
        self._open: dict[int, list[tuple[float, ...]]] = {}

    def add(self, row: Mapping[str, str]) -> None:
        """Add a row of ``predictions.csv``; one without probabilities adds nothing."""
        prefix = f"{SMOOTHED}_" if f"{SMOOTHED}_{self.classes[0]}" in row else ""
        if f"{prefix}{self.classes[0]}" not in row:
            return
        track = int(row["track"])
        if track not in self.tracks and len(self.tracks) >= _MOST_KEPT:
            return
        frame = int(row["frame"])
        seconds = time_of(frame, float(row["seconds"] or math.nan))
        values = (frame, seconds, *(float(row[f"{prefix}{name}"]) for name in self.classes))
        self._rows[track] += 1
        waiting = self._open.setdefault(track, [])
        waiting.append(values)
        if len(waiting) < self._steps.setdefault(track, 1):
            return
        points = self.tracks.setdefault(track, [])
        points.append(_mean(waiting))
        waiting.clear()
        if len(points) >= _MOST_POINTS:
            points[:] = [_mean(pair) for pair in zip(points[::2], points[1::2], strict=False)]
            self._steps[track] *= 2

    def longest(self) -> list[int]:
        """Number the people who are seen in most frames, most first."""
        return [track for track, _ in self._rows.most_common(_MOST_PEOPLE) if track in self.tracks]


def draw_timeline(timeline: Timeline, title: str) -> Figure:
    """Draw the probabilities of each person as lines over seconds, a plot a person."""
    people = timeline.longest()
    figure = new_figure(9.0, 0.9 + 1.5 * len(people))
    set_title(figure, title)
    plots = figure.subplots(len(people), 1, sharex=True, squeeze=False)[:, 0]
    colours = class_colours(timeline.classes)
    for axes, track in zip(plots, people, strict=True):
        _, seconds, *shares = _with_gaps(timeline.tracks[track]).T
        for name, colour, values in zip(timeline.classes, colours, shares, strict=True):
            # The marker shows what is no line: a single frame.
            axes.plot(seconds, values, label=name, color=colour, marker=".", markersize=3)
        axes.set_ylim(0, 1)
        axes.set_ylabel(f"person {track}", fontsize=8)
    plots[-1].set_xlabel("seconds", fontsize=8)
    handles, names = plots[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside right center", fontsize=8)
    return figure


def _with_gaps(points: Sequence[tuple[float, ...]]) -> NDArray[np.float64]:
    """Put a row of NaN, which ends a line, where a person was away for several points' frames.

    Frames tell it and not seconds: a phone's frames are further apart in the dark.
    """
    rows = np.array(points, np.float64)
    steps = np.diff(rows[:, 0])
    if not len(steps):
        return rows
    away = np.flatnonzero(steps > 2.5 * np.median(steps)) + 1  # a single frame may be missed
    return np.insert(rows, away, np.nan, axis=0)


def _mean(points: Sequence[tuple[float, ...]]) -> tuple[float, ...]:
    return tuple(math.fsum(values) / len(points) for values in zip(*points, strict=True))
