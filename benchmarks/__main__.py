"""Run the benchmarks, print their ratios and write them to ``runs/bench.json``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks import (
    against,
    authors,
    cache,
    latency,
    pcnn,
    scale,
    schedule,
    start,
    studies,
    svm,
    training,
)
from benchmarks.machine import describe_machine
from benchmarks.measuring import Result
from datamodules.store.replacing import replacing

BENCHMARKS: dict[str, Callable[..., Result]] = {
    "step_time": training.measure_step,
    "data_wait": training.measure_waiting,
    "cache_building": cache.measure_building,
    "face_reading": cache.measure_reading,
    "png_pipeline": cache.measure_pipeline,
    "memory": cache.measure_memory,
    "pcnn_forward": pcnn.measure_forward,
    "pcnn_step": pcnn.measure_step,
    "latency": latency.measure,
    "gan_step": partial(training.measure_step, "DCGAN"),
    "pcnn_fit": partial(training.measure_step, "PCNN"),
    "ssim_vae_fit": partial(training.measure_step, "SSIM-VAE"),
    "flow_cnn_fit": partial(training.measure_step, "Flow-CNN"),
    "start": start.measure,
    "schedule": schedule.measure,
    "study_answers": studies.measure_answers,
    "study_overhead": studies.measure_overhead,
    "study_kills": studies.measure_kills,
    "svm": svm.measure,
    "scale": scale.measure,
}
AGAINST: dict[str, Callable[..., Iterator[tuple[str, Result]]]] = {
    authors.PCNN_CODE: against.measure_pcnn,
    authors.EMOTION_GAN_CODE: against.measure_emotion_gan,
}
LONG = ("svm", "scale", "study_kills")
"""Those that take half an hour or gigabytes of disk: they run only where they are named."""


def main(args: list[str] | None = None) -> None:
    """Run the benchmarks that were asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--only",
        nargs="+",
        choices=BENCHMARKS,
        help=f"run only these; by default all but {', '.join(LONG)}, which take long, or with "
        "--against none",
    )
    parser.add_argument(
        "--against",
        type=Path,
        metavar="FOLDER",
        help=f"run what the authors' own code does beside ours: FOLDER holds clones of their "
        f"repositories, {' or '.join(AGAINST)}",
    )
    parser.add_argument(
        "--quick", action="store_true", help="so few repeats that only the workings are tested"
    )
    parser.add_argument("--output", type=Path, default=Path("runs/bench.json"))
    options = parser.parse_args(args)
    console = Console()
    table = Table("ratio", "measured", "95 % interval", "to hold")
    report: dict[str, Any] = {**describe_machine(), "quick": options.quick, "results": {}}
    names = options.only
    if names is None:
        names = [] if options.against else [name for name in BENCHMARKS if name not in LONG]
    measures: dict[str, Callable[[], Iterable[tuple[str, Result]]]] = {
        name: lambda name=name: [(name, BENCHMARKS[name](quick=options.quick))]  # type: ignore[misc]
        for name in names
    }
    if options.against:
        for name, measure in AGAINST.items():
            if (options.against / name).is_dir():
                measures[name] = partial(measure, options.against, quick=options.quick)
            else:
                console.print(f"{options.against / name} does not exist: left out.")
    for name, run in measures.items():
        console.print(f"{name} ...", highlight=False)
        for key, result in run():
            report["results"][key] = result
            low, high = result["details"].get("interval", ("", ""))
            interval = f"{low} to {high}" if low else ""
            table.add_row(result["what"], f"{result['ratio']:.3f}", interval, result["bound"])
            # Written after each, so that a run cut short keeps what it has measured.
            with replacing(options.output) as aside:
                text = json.dumps(report, indent=2, allow_nan=False)
                aside.write_text(text + "\n", "utf-8")
    console.print(table)
    console.print(f"written to {options.output}", soft_wrap=True, highlight=False, markup=False)


if __name__ == "__main__":
    main()
