"""metrics.csv of a run folder: what was logged, by key and step. The standard library only."""

from __future__ import annotations

import csv
import math
from pathlib import Path

METRICS_FILE = "metrics.csv"
SECONDS, RATE = "progress/seconds", "progress/learning_rate"
"""What every validation logs: seconds since the one before, rate of the first optimizer."""

Series = dict[float, float]
"""Finite values by their step, ascending."""


def read_metrics(folder: Path) -> dict[str, Series]:
    """Read what a run logged, by key; empty where it logged nothing.

    After a resume some steps come twice, with the same values: the later one counts. The seconds of
    both were spent, and are added up.
    """
    found: dict[str, Series] = {}
    if not (folder / METRICS_FILE).is_file():
        return found
    with (folder / METRICS_FILE).open(newline="", encoding="utf-8") as file:
        keys, *lines = [*csv.reader(file)] or [[]]
    place = keys.index("step") if "step" in keys else len(keys)
    for line in lines:
        # A kill may have cut a line short, or the numbers in it.
        step = _number(line[place]) if place < len(line) else math.nan
        for key, text in zip(keys, line, strict=False):
            if text and key != "step" and math.isfinite(step) and math.isfinite(v := _number(text)):
                series = found.setdefault(key, {})
                series[step] = v + series.get(step, 0.0) if key == SECONDS else v
    return {key: dict(sorted(series.items())) for key, series in found.items()}


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
