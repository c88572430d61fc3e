"""One step of one fold (its training or its test) as a process of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Step = Literal["fit", "test"]

LOG_FILE = "log.txt"
# What tells a process that it is one of several of a run, or a certain W&B run.
_NOT_INHERITED = (
    "GROUP_RANK",
    "LOCAL_RANK",
    "LOCAL_WORLD_SIZE",
    "MASTER_ADDR",
    "MASTER_PORT",
    "NODE_RANK",
    "PL_GLOBAL_SEED",
    "RANK",
    "WANDB_DESCRIPTION",
    "WANDB_JOB_TYPE",
    "WANDB_NAME",
    "WANDB_NOTES",
    "WANDB_RESUME",
    "WANDB_SERVICE",
    "WANDB_TAGS",
    "WORLD_SIZE",
)
_NOT_INHERITED_BEGINNINGS = ("SLURM_", "TORCHELASTIC_", "WANDB_RUN_", "WANDB_SWEEP_")
_GRACE = 30.0


def child_environment(
    inherited: Mapping[str, str],
    told: Mapping[str, str],
    *,
    device: str | None,
    threads: int,
) -> dict[str, str]:
    """Make the environment of a fold's process.

    Args:
        inherited: That of the cross-validation.
        told: What the fold is told of its place.
        device: The accelerator it may see; None leaves all visible.
        threads: Threads to compute with, unless a person set their number.

    Returns:
        The environment, without what would make the fold a part of another run.
    """
    environment = {
        name: value
        for name, value in inherited.items()
        if name not in _NOT_INHERITED and not name.startswith(_NOT_INHERITED_BEGINNINGS)
    }
    # The number of threads changes last digits, so it must not depend on how many folds run now.
    environment.setdefault("OMP_NUM_THREADS", str(threads))
    environment.setdefault("MKL_NUM_THREADS", environment["OMP_NUM_THREADS"])
    environment["PYTHONUNBUFFERED"] = "1"
    if device is not None:
        environment["CUDA_VISIBLE_DEVICES"] = device
    return {**environment, **told}


@dataclass
class Child:
    """A running step.

    Args:
        fold: Number of the fold.
        step: fit or test.
        process: Its process, which leads a session of its own.
        log: Where it writes.
        start: Where in the log this step begins.
    """

    fold: int
    step: Step
    process: subprocess.Popen[bytes]
    log: Path
    start: int

    def output(self) -> str:
        """Return what it has written so far."""
        with self.log.open("rb") as file:
            file.seek(self.start)
            return file.read().decode(errors="replace")

    def sentence(self) -> str:
        """Say why it failed, as a person can read it."""
        code = self.process.returncode
        if code < 0:
            name = signal.Signals(-code).name
            why = " (out of memory?)" if name == "SIGKILL" else ""
            return f"killed by {name}{why}"
        text = self.output().strip()
        _, found, told = f"\n{text}".rpartition("\nlightning: ")
        return told if found else (text.splitlines() or [f"exit code {code}"])[-1]


def start_child(
    command: Sequence[str], environment: Mapping[str, str], folder: Path, fold: int, step: Step
) -> Child:
    """Start a step.

    Args:
        command: Program and arguments.
        environment: Its whole environment.
        folder: Run folder of the fold; its log is added to.
        fold: Number of the fold.
        step: fit or test.

    Returns:
        The running child.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / LOG_FILE
    with path.open("ab") as log:
        log.write(f"--- {time.strftime('%Y-%m-%d %H:%M:%S')} {step}\n".encode())
        log.flush()
        start = log.tell()
        process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            # A terminal's Ctrl-C is for the cross-validation, which ends its folds in order; and
            # all processes of a fold can be killed as one group.
            start_new_session=True,
        )
    return Child(fold, step, process, path, start)


def stop(children: Sequence[Child]) -> None:
    """End children: asked first, so that they keep a checkpoint, and killed after a while.

    Args:
        children: Those to end.
    """
    for child in children:
        child.process.terminate()
    deadline = time.monotonic() + _GRACE
    try:
        for child in children:
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.process.wait(max(0.0, deadline - time.monotonic()))
    finally:  # also after a second Ctrl-C
        for child in children:
            kill(child)


def kill(child: Child) -> None:
    """Kill a child with all processes that it started, if it is still there.

    Args:
        child: The child.
    """
    # The number of a process that has ended may be another's by now.
    if child.process.poll() is None:
        os.killpg(child.process.pid, signal.SIGKILL)
        child.process.wait()
