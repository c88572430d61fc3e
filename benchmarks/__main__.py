"""Run the benchmarks, print their ratios and write them to ``runs/bench.json``."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from benchmarks import (
    cache_building,
    data_wait,
    face_reading,
    gan_step,
    latency,
    memory,
    pcnn,
    step_time,
    svm,
)
from benchmarks.report import Result, machine, print_report, write_report

BENCHMARKS: dict[str, Callable[..., Result]] = {
    "step_time": step_time.measure,
    "data_wait": data_wait.measure,
    "cache_building": cache_building.measure,
    "face_reading": face_reading.measure,
    "memory": memory.measure,
    "pcnn_forward": pcnn.measure_forward,
    "pcnn_step": pcnn.measure_step,
    "latency": latency.measure,
    "gan_step": gan_step.measure,
    "svm": svm.measure,
}
LONG = ("svm",)
"""Those that take half an hour: they run only where they are named."""


def main(args: list[str] | None = None) -> None:
    """Run the benchmarks that were asked for.

    Args:
        args: Arguments of the command line; those of the process by default.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--only",
        nargs="+",
        choices=BENCHMARKS,
        default=[name for name in BENCHMARKS if name not in LONG],
        help=f"run only these; by default all but {', '.join(LONG)}, which takes long",
    )
    parser.add_argument(
        "--quick", action="store_true", help="so few repeats that only the workings are tested"
    )
    parser.add_argument("--output", type=Path, default=Path("runs/bench.json"))
    options = parser.parse_args(args)
    results: dict[str, Result] = {}
    console = Console()
    for name in options.only:
        console.print(f"{name} ...", highlight=False)
        results[name] = BENCHMARKS[name](quick=options.quick)
        # Written after each, so that a run cut short keeps what it has measured.
        write_report({**machine(), "quick": options.quick, "results": results}, options.output)
    print_report(results, options.output, console)


if __name__ == "__main__":
    main()
