"""Measure all methods on a GPU in one call: ``python -m benchmarks.gpu``.

Every row is guarded: one that fails is printed with its error and the others go on. The report is
written after each row, so that a call cut short keeps what it has measured.
"""

from __future__ import annotations

import argparse
import gc
import json
import logging
import os
import statistics
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import torch
from rich.console import Console

from benchmarks.against import measure_emotion_gan, measure_pcnn
from benchmarks.generated import METHODS, Setting, paper_setting, steady_setting, tiny_setting
from benchmarks.gpu_table import Row, line, table
from benchmarks.machine import describe_machine
from benchmarks.measuring import Result, median_interval
from benchmarks.stepping import (
    Pace,
    Variant,
    count_flops,
    largest_deviation,
    losses_of_steps,
    measure_peak,
    ratio_of,
    time_steps,
)
from benchmarks.training import measure_waiting
from datamodules.errors import UserError
from datamodules.store.replacing import replacing
from datamodules.synthetic.rafdb import write_rafdb

BF16 = Variant("bf16", "bf16-mixed")
PRESET = BF16._replace(name="gpu.yaml", graphs=True, fused=True)
VARIANTS = (
    Variant("float32 (TF32)", "32-true"),
    BF16,
    PRESET._replace(name="gpu.yaml, float32 (TF32)", precision="32-true"),
    PRESET,
    PRESET._replace(name="gpu.yaml, channels-last", channels_last=True),
)
COMPILED = (
    BF16._replace(name="bf16 compiled", compile=True),
    PRESET._replace(name="gpu.yaml, compiled", compile=True),
    PRESET._replace(name="gpu.yaml, compiled, channels-last", compile=True, channels_last=True),
)
PARITY_STEPS = 50
PARITY_FACTOR, PARITY_FLOOR = 5, 1e-4
"""A loss may go this many times as far from the CPU's as the CPU's own with other kernels; or so
far, relative to its size, which is also the bound of the first step."""
FIT_BOUND = 1.02


class Bench(NamedTuple):
    """What all rows share.

    Attributes:
        device: What is measured.
        peak: Operations a second of its bfloat16 product.
        pace: How long steps are timed.
        settings: Setting of each method.
        small: Setting of each method whose losses are compared with the CPU's.
        folder: For faces that are drawn and their caches.
        more: Arguments of `lightning fit` in the rows of data that say which; by default few faces
            are drawn.
        against: Folder of the authors' code, if there is one.
        quick: Whether only the workings are tested.
        flops: Operations of a step of each method, once they were counted.
    """

    device: torch.device
    peak: float
    pace: Pace
    settings: dict[str, Setting]
    small: dict[str, Setting]
    folder: Path
    more: list[str]
    against: Path | None
    quick: bool
    flops: dict[str, int]


def main(args: list[str] | None = None) -> None:
    """Run the rows that were asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument(
        "--rows", nargs="+", choices=KINDS, default=list(KINDS), help="kinds of rows, in this order"
    )
    parser.add_argument(
        "--tiny", action="store_true", help="so small and few that only the workings are tested"
    )
    parser.add_argument(
        "--minutes", type=float, default=3.5, help="after so many no further row is begun"
    )
    parser.add_argument(
        "--data", action="append", default=[], help="argument of fit in rows of data, e.g. its root"
    )
    parser.add_argument(
        "--against", type=Path, help="folder of the authors' code, for rows beside it"
    )
    parser.add_argument("--output", type=Path, default=Path("runs/gpu.json"))
    options = parser.parse_args(args)
    # Before the first product on a GPU, for the rows of parity.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_float32_matmul_precision("high")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    console = Console(width=150)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    peak = measure_peak(device, 256 if options.tiny else 8192)
    choose = tiny_setting if options.tiny else paper_setting
    folder = TemporaryDirectory()
    bench = Bench(
        device,
        peak,
        Pace(seconds=0.01, blocks=3, warm_up=2) if options.tiny else Pace(),
        {method: choose(method) for method in options.only},
        {method: steady_setting(method) for method in options.only},
        Path(folder.name),
        options.data,
        options.against,
        options.tiny,
        {},
    )
    report: dict[str, Any] = {
        **describe_machine(device),
        "tiny": options.tiny,
        "bf16_product_tflops": round(peak / 1e12, 2),
        "rows": [],
    }
    console.print(f"{report['device']}: bf16 product {peak / 1e12:.1f} TFLOP/s", highlight=False)
    began = time.perf_counter()
    for kind, method, measure in _plan(options.rows, options.only):
        spent = time.perf_counter() - began
        if spent > 60 * options.minutes:
            row: Row = {"skipped": f"{options.minutes:g} minutes were over"}
        else:
            row = _guarded(partial(measure, bench, method))
            row["row_seconds"] = round(time.perf_counter() - began - spent, 1)
        row = {"kind": kind, "method": method, "setting": str(bench.settings[method]), **row}
        report["rows"].append(row)
        console.print(line(row), highlight=False, markup=False)
        with replacing(options.output) as aside:
            aside.write_text(json.dumps(report, indent=2) + "\n", "utf-8")
    console.print(table(report["rows"]))
    console.print(f"written to {options.output}", soft_wrap=True, highlight=False, markup=False)


def measure_step(bench: Bench, method: str, variant: Variant) -> Row:
    """Time steps of `fit`: milliseconds, samples a second, share of the peak, memory."""
    setting = bench.settings[method]
    times = time_steps(setting, variant, bench.device, bench.pace)
    seconds = statistics.median(times.fit)
    low, high = median_interval(times.fit)
    if method not in bench.flops:
        bench.flops[method] = count_flops(setting, bench.device)
    flops = bench.flops[method]
    return {
        "variant": variant.name,
        "step_ms": round(1000 * seconds, 3),
        "interval_ms": [round(1000 * low, 3), round(1000 * high, 3)],
        "samples_a_second": round(setting.batch / seconds, 1),
        "gflop_a_step": round(flops / 1e9, 2),
        "share_of_peak": round(flops / seconds / bench.peak, 4),
        "peak_gb": round(times.peak_gb, 3),
        "warm_up_seconds": round(times.first, 2),
    }


def measure_overhead(bench: Bench, method: str, variant: Variant) -> Row:
    """Take turns between blocks of `fit` and of a bare loop, which records no graphs."""
    # Ratios near 1 want longer and more blocks than a time does.
    pace = bench.pace._replace(seconds=2 * bench.pace.seconds, blocks=bench.pace.blocks + 4)
    times = time_steps(bench.settings[method], variant, bench.device, pace, bare=True)
    return {
        "variant": variant.name,
        "step_ms": round(1000 * statistics.median(times.fit), 3),
        "bare_ms": round(1000 * statistics.median(times.bare), 3),
        **ratio_of(times),
        "bound": f"at most {FIT_BOUND}",
    }


def measure_parity(bench: Bench, method: str) -> Row:
    """Compare the losses of 50 steps with those of the CPU.

    Training multiplies what float32 rounds away, an adversarial one by ten thousand in ten steps.
    So the bound is how far the CPU's own losses go apart where it uses other convolutions.
    """
    setting, steps = bench.small[method], 5 if bench.quick else PARITY_STEPS
    cpu = torch.device("cpu")
    reference = losses_of_steps(setting, cpu, steps)
    here = largest_deviation(reference, losses_of_steps(setting, bench.device, steps))
    with torch.backends.mkldnn.flags(enabled=False):
        rounding = largest_deviation(reference, losses_of_steps(setting, cpu, steps))
    bound = max(PARITY_FACTOR * max(rounding), PARITY_FLOOR)
    return {
        "setting": str(setting),
        "variant": "float32, deterministic",
        "steps": steps,
        "first_deviation": here[0],
        "largest_deviation": max(here),
        "deviations": here,
        "cpu_with_other_kernels": rounding,
        "bound": f"at most {bound:.1e}",
        "holds": here[0] <= PARITY_FLOOR and max(here) <= bound,
    }


def measure_recorded(bench: Bench, method: str) -> Row:
    """Compare the losses of steps that replay CUDA graphs with those of steps that do not."""
    setting, steps = bench.small[method], PARITY_STEPS
    losses = [
        losses_of_steps(setting, bench.device, steps, graphs=graphs, drawn_on_cpu=False)
        for graphs in (True, False)  # refused at once where there are none
    ]
    deviations = largest_deviation(*losses)
    return {
        "setting": str(setting),
        "variant": "graphs, float32, deterministic",
        "steps": steps,
        "first_deviation": deviations[0],
        "largest_deviation": max(deviations),
        "deviations": deviations,
        "bound": "equal",
    }


def measure_data(bench: Bench, method: str) -> Row:
    """Measure the share of `lightning fit`'s time that it waits for data, embedded faces."""
    on_gpu = bench.device.type == "cuda"
    setting = bench.settings[method]
    result = measure_waiting(
        quick=bench.quick,
        experiment=[
            f"--config=experiments/{METHODS[method]}.yaml",
            *(
                ["--config=experiments/presets/gpu.yaml"]
                if on_gpu
                else ["--trainer.accelerator=cpu"]
            ),
            "--wandb=disabled",
            "--trainer.enable_progress_bar=false",
            f"--data.cache_dir={bench.folder}",
            f"--data.batch_size={setting.batch}",
            *(f"--model.{name}={value}" for name, value in setting.arguments.items()),
            *(bench.more or (_PEOPLE[method] if setting.moves else _draw_stills(bench))),
        ],
    )
    return {
        "variant": f"lightning fit{', gpu.yaml' if on_gpu else ''}",
        "wait_share": round(result["ratio"], 4),
        "bound": result["bound"],
        **result["details"],
    }


_PEOPLE = {
    "eMotion-GAN": ("--data.synthetic_subjects=4", "--data.folds=4", "--model.e_fer_epochs=1"),
    "SSIM-VAE": ("--data.synthetic_subjects=20",),
    "Flow-CNN": ("--data.synthetic_subjects=20",),
}
"""So few that they are drawn in seconds, and enough for some batches an epoch."""


def _draw_stills(bench: Bench) -> list[str]:
    """Draw the faces of RAF-DB once for all methods; return the argument that names them."""
    root = bench.folder / "stills"
    if not root.exists():
        train, test = (42, 14) if bench.quick else (1400, 140)
        write_rafdb(root, train=train, test=test)
    return [f"--data.root={root}"]


def measure_compiled(bench: Bench, method: str, variant: Variant) -> Row:
    """Do the same as `measure_step` with compiled networks; ``warm_up_seconds`` compile."""
    torch._dynamo.reset()
    return measure_step(bench, method, variant)


def measure_against(bench: Bench, method: str) -> Row:
    """Take turns with the authors' code, of which `--against` names the folder."""
    if bench.against is None:
        return {"skipped": "--against names no folder of the authors' code"}
    if method not in _AUTHORS:
        return {"skipped": "no code of the authors is known"}
    results = _AUTHORS[method](bench.against, quick=bench.quick, device=bench.device)
    return {
        "variant": "TF32, bf16, both with graphs",
        "bound": "a step at most 0.33",
        "authors": dict(results),
    }


_AUTHORS: dict[str, Callable[..., Iterator[tuple[str, Result]]]] = {
    "eMotion-GAN": measure_emotion_gan,
    "PCNN": measure_pcnn,
}


_Measure = Callable[[Bench, str], Row]
KINDS: dict[str, tuple[_Measure, ...]] = {
    "step": tuple(partial(measure_step, variant=variant) for variant in VARIANTS),
    "graphs": (measure_recorded,),
    "fit / bare": tuple(partial(measure_overhead, variant=v) for v in (BF16, PRESET)),
    "authors": (measure_against,),
    "parity": (measure_parity,),
    "compiled": tuple(partial(measure_compiled, variant=variant) for variant in COMPILED),
    "data": (measure_data,),
}
"""Kinds of rows in their order: what takes longest comes last."""


def _plan(kinds: list[str], methods: list[str]) -> Iterator[tuple[str, str, _Measure]]:
    for kind in kinds:
        for method in methods:
            for measure in KINDS[kind]:
                yield kind, method, measure


def _guarded(measure: Callable[[], Row]) -> Row:
    """Return a row, or what it failed of."""
    try:
        return measure()
    except UserError as error:
        return {"skipped": str(error)}
    # Whatever it is, the rows after it are still wanted. `lightning fit` ends by SystemExit.
    except (Exception, SystemExit) as error:
        said = f"{type(error).__name__}: {str(error).strip()}"
        return {"error": said.splitlines()[0], "traceback": traceback.format_exc()[-4000:]}
    finally:
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


if __name__ == "__main__":
    main()
