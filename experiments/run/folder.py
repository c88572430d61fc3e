"""Where a run lives: `runs/<experiment>/<time>-<hash>/`, found again by the same command."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from datamodules.store.lock import Lock, try_lock
from datamodules.store.replacing import read_json, write_json

# What says how a command runs, and not what comes out.
_COMMAND = (
    *("ckpt_path", "config", "fresh", "runs_dir", "verbose", "wandb", "wandb_artifacts"),
    "weights_only",
)
# What differs from fold to fold or from machine to machine, with the same results.
_DATA = ("cache_dir", "fold", "num_workers", "on_device")

WANDB_LOCK = ".wandb.lock"
"""Lock file that each process holds that has the W&B run of a folder open."""

_LEFT = ("checkpoints", "metrics.csv", "predict")  # by a training, a test and a prediction
_STATUS = "status.json"
_CREATED = "created.json"


def config_hash(config: Mapping[str, Any]) -> str:
    """Hash a config of plain values; the order of its keys does not matter."""
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()


def shared_config_hash(config: Mapping[str, Any]) -> str:
    """Hash what the folds of a cross-validation have in common.

    Args:
        config: Resolved config of `fit` or `test`, plain values.

    Returns:
        64 hexadecimal digits, equal for all folds and both commands.
    """
    kept = {key: value for key, value in config.items() if key not in _COMMAND}
    data = dict(kept["data"])
    arguments = {k: v for k, v in data.pop("init_args", {}).items() if k not in _DATA}
    return config_hash({**kept, "data": {**data, "init_args": arguments}})


def setting_hash(config: Mapping[str, Any]) -> str:
    """Hash what seeds and folds of one setting have in common, as `shared_config_hash` does."""
    data = dict(config["data"])
    arguments = {k: v for k, v in data.pop("init_args", {}).items() if k != "seed"}
    kept = {key: value for key, value in config.items() if key != "seed_everything"}
    return shared_config_hash({**kept, "data": {**data, "init_args": arguments}})


class RunFolder:
    """The folder of one run, with its status and a lock held by the process that trains in it.

    Args:
        path: The folder; it need not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: Lock | None = None

    @property
    def checkpoints(self) -> Path:
        """Folder of `best.ckpt` and `last.ckpt`."""
        return self.path / "checkpoints"

    @property
    def last(self) -> Path:
        """The checkpoint that a killed run goes on from."""
        return self.checkpoints / "last.ckpt"

    @property
    def status(self) -> dict[str, Any]:
        """What the run wrote about itself; empty before it wrote anything."""
        return read_json(self.path / _STATUS) or {}

    def update_status(self, **values: Any) -> None:
        """Replace some values of the status file, atomically."""
        write_json(self.path / _STATUS, {**self.status, **values})

    def try_lock(self) -> bool:
        """Lock the folder until `release` or death; False where another has locked it."""
        self._lock = try_lock(self.path / ".lock")
        return self._lock is not None

    def release(self) -> None:
        """Let others lock the folder."""
        if self._lock is not None:
            self._lock.release()

    def remove_if_empty(self) -> None:
        """Remove the folder of a run that never took a step and answered nothing."""
        if not any((self.path / left).exists() for left in _LEFT):
            shutil.rmtree(self.path, ignore_errors=True)


def create_run(folder: Path, digest: str) -> RunFolder:
    """Make a new run folder, whose name no other process took, and lock it.

    Args:
        folder: `runs/<experiment>`.
        digest: Hash of the run's config; its first six digits are part of the name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    while True:
        stamp = time.strftime("%Y%m%d-%H%M%S")
        run = RunFolder(folder / f"{stamp}-{digest[:6]}")
        try:
            # One run a second, so that the order of the names is that of the runs.
            if any(folder.glob(f"{stamp}-*")):
                raise FileExistsError
            run.path.mkdir()
        except FileExistsError:
            time.sleep(0.2)
            continue
        run.try_lock()
        run.update_status(state="running", config_hash=digest)
        return run


def created(folder: Path) -> str:
    """Return when a folder was first asked for, by which W&B tells it from others of its name."""
    values = read_json(folder / _CREATED, created=str)
    if values is None:
        values = {"created": f"{time.time():.6f}"}
        write_json(folder / _CREATED, values)
    return str(values["created"])


def unfinished_run(folder: Path, digest: str) -> RunFolder | None:
    """Find the newest run of a config that is neither finished nor alive, and lock it."""
    for run in runs(folder):
        status = run.status
        unfinished = status.get("config_hash") == digest and status.get("state") != "finished"
        if unfinished and run.try_lock():
            if run.status.get("state") != "finished":
                return run
            run.release()
    return None


def run_of_checkpoint(checkpoint: Path) -> RunFolder | None:
    """Find the run that a checkpoint belongs to; None for one that is kept elsewhere."""
    run = RunFolder(checkpoint.parent.parent)
    return run if checkpoint.parent.name == "checkpoints" and run.status else None


def runs(folder: Path) -> Iterator[RunFolder]:
    """List the runs of an experiment, the newest first."""
    if folder.is_dir():
        for path in sorted(folder.iterdir(), reverse=True):
            if (path / _STATUS).is_file():
                yield RunFolder(path)
