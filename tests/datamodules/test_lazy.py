from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import callbacks
import datamodules
import lightning_modules
from datamodules.lazy import load

# What says the results of runs must answer at once.
LIGHT = [
    "callbacks",
    "callbacks.statistics",
    "datamodules.errors",
    "datamodules.labels",
    "datamodules.store.replacing",
    "experiments.published",
    "experiments.report.markdown",
    "lightning_modules",
]


@pytest.mark.parametrize("package", [callbacks, datamodules, lightning_modules])
def test_every_class_is_found_where_its_package_says(package: ModuleType) -> None:
    load(package)
    for name in package.__all__:
        found = getattr(package, name)
        assert found.__name__ == name
        assert found.__module__.startswith(f"{package.__name__}.")
    with pytest.raises(AttributeError, match=f"module '{package.__name__}' has no attribute 'no'"):
        _ = package.no


def test_reports_are_written_without_torch() -> None:
    code = (
        f"import sys, {', '.join(LIGHT)}\n"
        "print(sorted({'torch', 'lightning', 'wandb', 'sklearn', 'cv2'} & {*sys.modules}))"
    )
    root = Path(callbacks.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_a_method_is_imported_without_what_only_others_need() -> None:
    code = (
        "import sys, datamodules.folds.assignment\n"
        "assert 'sklearn' not in sys.modules, 'folds'\n"
        "from lightning_modules import PCNN\n"
        "print(sorted({'kornia', 'onnx', 'optuna', 'wandb'} & {*sys.modules}))"
    )
    root = Path(callbacks.__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("[]\n", "")
