"""Run the benchmarks, print their ratios and write them to ``runs/bench.json``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks import cache, latency, pcnn, svm, training
from benchmarks.machine import describe_machine
from benchmarks.measuring import Result
from datamodules.store.replacing import replacing

BENCHMARKS: dict[str, Callable[..., Result]] = {
    "step_time": training.measure_step,
    "data_wait": training.measure_waiting,
    "cache_building": cache.measure_building,
    "face_reading": cache.measure_reading,
    "memory": cache.measure_memory,
    "pcnn_forward": pcnn.measure_forward,
    "pcnn_step": pcnn.measure_step,
    "latency": latency.measure,
    "gan_step": training.measure_gan_step,
    "svm": svm.measure,
}
LONG = ("svm",)
"""Those that take half an hour: they run only where they are named."""


def main(args: list[str] | None = None) -> None:
    """Run the benchmarks that were asked for."""
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
    console = Console()
    table = Table("ratio", "measured", "to hold")
    report: dict[str, Any] = {**describe_machine(), "quick": options.quick, "results": {}}
    for name in options.only:
        console.print(f"{name} ...", highlight=False)
        result = report["results"][name] = BENCHMARKS[name](quick=options.quick)
        table.add_row(result["what"], f"{result['ratio']:.3f}", result["bound"])
        # Written after each, so that a run cut short keeps what it has measured.
        with replacing(options.output) as aside:
            aside.write_text(json.dumps(report, indent=2, allow_nan=False) + "\n", "utf-8")
    console.print(table)
    console.print(f"written to {options.output}", soft_wrap=True, highlight=False, markup=False)


if __name__ == "__main__":
    main()
