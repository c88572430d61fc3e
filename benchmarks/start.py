"""How long commands take before they do anything: imports, help, and a fold beside its training."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.measuring import Result
from datamodules.synthetic import write_ferplus

_IMPORTS = {
    "import_datamodules": "import datamodules",
    "import_lightning_modules": "import lightning_modules",
    "import_a_method": "from lightning_modules import PCNN",
    "import_lightning_alone": "import lightning.pytorch",
}
_HELP = {"help": ["--help"], "fit_help": ["fit", "--help"]}


def measure(*, quick: bool = False) -> Result:
    """Compare the processor time of a fold's training and test as forks and as new processes.

    The fold trains on one batch, so that nearly all is start and end. Processor time leaves out
    what others do on the machine.
    """
    turns = 1 if quick else 3
    details: dict[str, Any] = {"unit": "processor seconds"}
    for name, code in _IMPORTS.items():
        details[name] = [_seconds([sys.executable, "-c", code]) for _ in range(turns)]
    lightning = [sys.executable, "-m", "experiments"]
    for name, arguments in _HELP.items():
        details[name] = [_seconds([*lightning, *arguments]) for _ in range(turns)]
    with TemporaryDirectory() as folder:
        steps = _steps(Path(folder))
        cold, warm = [], []
        for _ in range(turns):
            cold.append([_seconds([*lightning, *step]) for step in steps])
            warm.append([_forked(step) for step in steps])
    details |= {"new_fit_and_test": cold, "forked_fit_and_test": warm}
    return {
        "what": "processor time of a tiny fold (fit and test): forked / as new processes",
        "ratio": median(map(sum, warm)) / median(map(sum, cold)),
        "bound": "forked, at most 4 s a fold outside training",
        "details": details,
    }


def _steps(folder: Path) -> list[list[str]]:
    """Draw a few faces; return the command lines of a training and a test on them."""
    write_ferplus(folder / "ferplus", train=64, val=16, test=16)
    common = [
        "--config=experiments/resnet18.yaml",
        "--config=experiments/data/ferplus.yaml",
        f"--data.root={folder / 'ferplus'}",
        f"--data.cache_dir={folder / 'cache'}",
        f"--runs_dir={folder / 'runs'}",
        "--trainer.max_epochs=1",
        "--trainer.limit_train_batches=1",
        "--trainer.accelerator=cpu",
        "--data.size=32",
        "--data.batch_size=8",
        "--wandb=disabled",
    ]
    return [["fit", "--fresh", *common], ["test", "--ckpt_path=last", *common]]


def _seconds(command: Sequence[str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _forked(arguments: Sequence[str]) -> float:
    """Run a command in a fork of a process that has imported all, as `jobs.warm` does."""
    code = (
        "import os, sys, experiments.jobs.preloaded\n"
        "from experiments.cli import main\n"
        "if not (child := os.fork()):\n"
        "    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)\n"
        "    os.dup2(1, 2)\n"
        "    main(sys.argv[1:])\n"
        "    os._exit(0)\n"
        "_, status, used = os.wait4(child, 0)\n"
        "assert status == 0, status\n"
        "print(used.ru_utime + used.ru_stime)"
    )
    told = subprocess.check_output([sys.executable, "-c", code, *arguments], text=True)
    return float(told.splitlines()[-1])
