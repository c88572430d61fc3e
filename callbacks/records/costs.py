"""What an answer of a tested method costs: two files beside its record, which holds no time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from datamodules.store.replacing import read_json

LATENCY_FILE = "latency.json"
"""Milliseconds an answer takes, on which device."""
SIZE_FILE = "size.json"
"""Parameters, megabytes and multiplications of an answer."""
TIMES = ("latency_ms", "items_per_second")
"""What the machine decides."""
COSTS = ("parameters_m", "size_mb", "macs_g", *TIMES)
"""What may stand in a column of a study beside what a test logs."""


def read_costs(folder: Path) -> dict[str, float]:
    """Read those of `COSTS` that are known of a tested run from its folder."""
    size: dict[str, float] = read_json(folder / SIZE_FILE, macs_g=float) or {}
    told = read_timing(folder)
    if told is None:
        return size
    return {
        **size,
        "latency_ms": told["median_ms"],
        "items_per_second": 1000 / told["median_ms"],
    }


def read_timing(folder: Path) -> dict[str, Any] | None:
    """Read latency.json, None where no test has measured it."""
    return read_json(folder / LATENCY_FILE, median_ms=float)
