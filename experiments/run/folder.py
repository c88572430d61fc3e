"""Where a run lives: `runs/<experiment>/<time>-<hash>/`, found again by the same command."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from datamodules.store.replacing import replacing

# What says how a command runs, and not what comes out.
_COMMAND = ("ckpt_path", "config", "fresh", "runs_dir", "verbose", "wandb", "weights_only")
# What differs from fold to fold or from machine to machine, with the same results.
_DATA = ("cache_dir", "fold", "num_workers")

State = Literal["running", "finished", "stopped", "failed"]

_STATUS = "status.json"
# Locks of this process: a POSIX record lock does not keep its own process out.
_held: set[Path] = set()


def config_hash(config: Mapping[str, Any]) -> str:
    """Hash a resolved config.

    Args:
        config: Plain values only.

    Returns:
        64 hexadecimal digits, equal for equal configs whatever the order of their keys.
    """
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


class RunFolder:
    """The folder of one run, with its status and a lock held by the process that trains in it.

    Args:
        path: The folder; it need not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: int | None = None

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
        try:
            status: dict[str, Any] = json.loads((self.path / _STATUS).read_text("utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            return {}
        return status

    def update_status(self, **values: Any) -> None:
        """Replace some values of the status file, atomically."""
        status = {**self.status, **values}
        with replacing(self.path / _STATUS) as aside:
            aside.write_text(json.dumps(status, indent=2) + "\n", "utf-8")

    def claim(self) -> bool:
        """Take the folder for this process until `release` or its death.

        Returns:
            False where another process has it.
        """
        path = self.path.resolve()
        if path in _held:
            return False
        # A record lock and no flock: data loading workers would inherit the latter, and an orphan
        # of a killed run would keep the next start out.
        lock = os.open(path / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            return False
        self._lock = lock
        _held.add(path)
        return True

    def release(self) -> None:
        """Let others take the folder."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
            _held.discard(self.path.resolve())

    def remove_if_empty(self) -> None:
        """Remove the folder of a run that never took a step."""
        if not self.checkpoints.exists() and not (self.path / "metrics.csv").exists():
            shutil.rmtree(self.path, ignore_errors=True)


def create_run(folder: Path, digest: str) -> RunFolder:
    """Make a new run folder and claim it.

    Args:
        folder: `runs/<experiment>`.
        digest: Hash of the run's config; its first six digits are part of the name.

    Returns:
        The run, whose name no other process took.
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
        run.claim()
        run.update_status(state="running", config_hash=digest)
        return run


def unfinished_run(folder: Path, digest: str) -> RunFolder | None:
    """Find and claim the newest run of a config that is neither finished nor alive.

    Args:
        folder: `runs/<experiment>`.
        digest: Hash of the config.

    Returns:
        The claimed run, or None.
    """
    for run in runs(folder):
        status = run.status
        unfinished = status.get("config_hash") == digest and status.get("state") != "finished"
        if unfinished and run.claim():
            if run.status.get("state") != "finished":
                return run
            run.release()
    return None


def run_of_checkpoint(checkpoint: Path) -> RunFolder | None:
    """Find the run that a checkpoint belongs to.

    Args:
        checkpoint: Path of a checkpoint, perhaps `<run>/checkpoints/best.ckpt`.

    Returns:
        The run, or None for a checkpoint kept elsewhere.
    """
    run = RunFolder(checkpoint.parent.parent)
    return run if checkpoint.parent.name == "checkpoints" and run.status else None


def runs(folder: Path) -> Iterator[RunFolder]:
    """List the runs of an experiment, the newest first.

    Args:
        folder: `runs/<experiment>`.

    Yields:
        Every run folder.
    """
    if folder.is_dir():
        for path in sorted(folder.iterdir(), reverse=True):
            if (path / _STATUS).is_file():
                yield RunFolder(path)
