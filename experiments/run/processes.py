"""Which process of a run this is, and how the others find its folder."""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from datamodules.store.replacing import read_json, write_json
from experiments.command.errors import CommandError

_VARIABLE = "FER_LIGHTNING_RUN"
_STARTED = time.time()
# Seconds between the starts of the processes of one job.
_SPREAD = 60.0
# Seconds after which no process of a job waits any more.
_FORGOTTEN = 86_400.0


def is_first_process() -> bool:
    """Tell whether this process chooses the run folder: global rank 0, whoever started it."""
    for variable in ("RANK", "SLURM_PROCID"):
        if variable in os.environ:
            return os.environ[variable] == "0"
    return os.environ.get("LOCAL_RANK", "0") == "0" and os.environ.get("NODE_RANK", "0") == "0"


@dataclass(frozen=True)
class Announcement:
    """What all processes of a run must agree on.

    Args:
        folder: The run folder.
        checkpoint: The checkpoint to start from, if any.
    """

    folder: str
    checkpoint: str | None


def announce(runs_dir: Path, announcement: Announcement) -> None:
    """Tell the other processes where the run lives."""
    # Lightning starts its processes with this environment; torchrun and srun started them before.
    os.environ[_VARIABLE] = json.dumps(asdict(announcement))
    file = _shared_file(runs_dir)
    if file is not None:
        for left in runs_dir.glob(".launch-*"):  # of jobs that were killed
            if time.time() - left.stat().st_mtime > _FORGOTTEN:
                left.unlink(missing_ok=True)
        write_json(file, asdict(announcement))


def withdraw(runs_dir: Path) -> None:
    """Forget what was announced."""
    os.environ.pop(_VARIABLE, None)
    file = _shared_file(runs_dir)
    if file is not None:
        file.unlink(missing_ok=True)


def find_announced(runs_dir: Path, patience: float = 120.0) -> Announcement:
    """Find out where the first process put the run.

    Args:
        runs_dir: Folder of all runs, on a file system that all nodes share.
        patience: Seconds to wait for the first process.

    Raises:
        CommandError: If the first process said nothing.
    """
    if _VARIABLE in os.environ:
        return Announcement(**json.loads(os.environ[_VARIABLE]))
    file = _shared_file(runs_dir)
    deadline = time.monotonic() + patience
    while file is not None and time.monotonic() < deadline:
        # An older file was left by a killed run.
        fresh = file.exists() and file.stat().st_mtime > _STARTED - _SPREAD
        if fresh and (values := read_json(file, folder=str)):
            return Announcement(values["folder"], values.get("checkpoint"))
        time.sleep(0.1)
    raise CommandError(
        "This process was not told where the run lives: start several nodes with srun or torchrun, "
        f"with {runs_dir} on a file system that all of them share."
    )


def _shared_file(runs_dir: Path) -> Path | None:
    for job, restart in (
        ("TORCHELASTIC_RUN_ID", "TORCHELASTIC_RESTART_COUNT"),
        ("SLURM_JOB_ID", "SLURM_RESTART_COUNT"),
    ):
        if job in os.environ:
            return runs_dir / f".launch-{os.environ[job]}-{os.environ.get(restart, '0')}"
    return None
