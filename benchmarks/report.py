"""What a benchmark returns, where it ran, and how both are written and printed."""

from __future__ import annotations

import json
import os
import platform
import time
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple, TypedDict

import torch
from rich.console import Console
from rich.table import Table

from datamodules.store.replacing import replacing


class Result(TypedDict):
    """The result of one benchmark.

    Attributes:
        what: The ratio in words.
        ratio: The measured ratio.
        bound: What it is held to, in words.
        details: The numbers behind it, with their units in the keys.
    """

    what: str
    ratio: float
    bound: str
    details: dict[str, Any]


class Clock:
    """Measures a span of work, on the wall and in this process's time on the processor.

    The second leaves out what other processes of a busy machine take away.
    """

    def __init__(self) -> None:
        self._began = time.perf_counter(), time.process_time()

    def read(self) -> Seconds:
        """Return the seconds since the clock was made."""
        return Seconds(time.perf_counter() - self._began[0], time.process_time() - self._began[1])


class Seconds(NamedTuple):
    """A span of work.

    Attributes:
        wall: Seconds on the wall.
        processor: Seconds of all cores together that this process worked.
    """

    wall: float
    processor: float


def machine() -> dict[str, Any]:
    """Say when and where the benchmarks run.

    Returns:
        ``date`` (UTC), ``cores`` that this process may use, ``torch_threads``, ``processor`` and
        ``versions``.
    """
    packages = ("torch", "lightning", "kornia", "opencv-contrib-python", "numpy")
    return {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "cores": cores(),
        "torch_threads": torch.get_num_threads(),
        "processor": _processor(),
        "versions": {"python": platform.python_version()} | {p: version(p) for p in packages},
    }


def cores() -> int:
    """Return the number of processor cores that this process may use."""
    return len(os.sched_getaffinity(0))


def write_report(report: dict[str, Any], path: Path) -> None:
    """Write a report as JSON, whole or not at all.

    Args:
        report: Plain values.
        path: File to write.
    """
    with replacing(path) as aside:
        aside.write_text(json.dumps(report, indent=2, allow_nan=False) + "\n", "utf-8")


def print_report(results: dict[str, Result], path: Path, console: Console) -> None:
    """Print the ratios and their bounds.

    Args:
        results: The result of each benchmark by its name.
        path: Where the report was written.
        console: Where to print.
    """
    table = Table()
    for name in ("ratio", "measured", "to hold"):
        table.add_column(name, justify="right" if name == "measured" else "left")
    for result in results.values():
        table.add_row(result["what"], f"{result['ratio']:.3f}", result["bound"])
    console.print(table)
    console.print(f"written to {path}", soft_wrap=True, highlight=False, markup=False)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
