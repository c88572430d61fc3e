"""Submits jobs to the SLURM of the tests, and waits for them."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.experiments.crossval.test_command import EXPERIMENT

ROOT = Path(__file__).resolve().parents[2]
LIGHTNING = f"{sys.executable} -m experiments"
_PATIENCE = 900.0
STUDY = """
title: Learning rates
rows:
  slow: --config tiny.yaml --model.lr 1e-9
  fast: --config tiny.yaml --model.lr 0.5
columns: {right: accuracy}
"""


def submit(cluster: dict[str, str], folder: Path, command: str, *options: str) -> str:
    """Submit a job; return its number."""
    (folder / "job.sh").write_text(f"#!/bin/bash\n{command}\n")
    return sbatch(cluster, folder, *options, "job.sh")


def sbatch(cluster: dict[str, str], folder: Path, *line: str) -> str:
    """Submit a script; return its number."""
    given = ["--parsable", "--open-mode=append", "-D", str(folder), "-o", "%A_%a.out"]
    told = subprocess.run(
        ["sbatch", *given, *line], cwd=folder, env=cluster, capture_output=True, text=True
    )
    assert told.returncode == 0, told.stderr
    return told.stdout.strip()


def about(cluster: dict[str, str], job: str) -> dict[str, str]:
    told = subprocess.run(
        ["scontrol", "show", "job", "-o", job], env=cluster, capture_output=True, text=True
    )
    return dict(word.split("=", 1) for word in told.stdout.split() if "=" in word)


def wait(cluster: dict[str, str], job: str, *states: str) -> dict[str, str]:
    """Wait until a job, or every job of an array, is in one of some states."""
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        told = subprocess.run(
            ["squeue", "-h", "-t", "all", "-r", "-o", "%T", "-j", job],
            env=cluster,
            capture_output=True,
            text=True,
        )
        if told.stdout.split() and set(told.stdout.split()) <= set(states):
            return about(cluster, job)
        time.sleep(0.5)
    raise AssertionError(f"job {job} is {told.stdout.split()} after {_PATIENCE:.0f} s")


def waited(look: Callable[[], Any]) -> Any:
    """Wait for something that is true."""
    deadline = time.monotonic() + _PATIENCE
    while not (found := look()) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert found
    return found


def output(folder: Path) -> str:
    return "\n".join(path.read_text() for path in sorted(folder.glob("*.out")))


def write_experiment(folder: Path, epochs: int) -> None:
    (folder / "tiny.yaml").write_text(EXPERIMENT.replace("max_epochs: 2", f"max_epochs: {epochs}"))
