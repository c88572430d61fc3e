"""One cross-validation a folder: a lock that names who holds it."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from datamodules.store.replacing import replacing
from experiments.command.errors import CommandError

_LOCK, _OWNER = ".crossval.lock", ".owner.json"


@contextmanager
def claim_all(folder: Path) -> Iterator[None]:
    """Keep others out of a cross-validation until the block ends, or this process dies.

    Args:
        folder: Folder of the cross-validation.

    Raises:
        CommandError: If another process works in it, naming that one.
    """
    with _locked(folder, fcntl.LOCK_EX) as locked:
        if not locked:
            raise _refusal(folder, _owner_of_all(folder))
        with _signed(folder):
            yield


@contextmanager
def claim_fold(folder: Path, fold: Path) -> Iterator[None]:
    """Keep others out of one fold; other folds may be worked on by other processes.

    Args:
        folder: Folder of the cross-validation.
        fold: Run folder of the fold.

    Raises:
        CommandError: If another process works in it, naming that one.
    """
    with _locked(folder, fcntl.LOCK_SH) as shared:
        if not shared:
            raise _refusal(folder, _owner(folder))
        # Nobody has the whole now: a name there was left by a killed process.
        (folder / _OWNER).unlink(missing_ok=True)
        with _locked(fold, fcntl.LOCK_EX) as locked:
            if not locked:
                raise _refusal(fold, _owner(fold))
            with _signed(fold):
                yield


@contextmanager
def _locked(folder: Path, kind: int) -> Iterator[bool]:
    folder.mkdir(parents=True, exist_ok=True)
    # A record lock and no flock: children would inherit the latter and outlive the parent with it.
    lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.lockf(lock, kind | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True
    finally:
        os.close(lock)


@contextmanager
def _signed(folder: Path) -> Iterator[None]:
    # Not into the lock's own file: to close it after reading would let go of the lock.
    owner = {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "since": time.strftime("%Y-%m-%d %H:%M:%S"),
    }
    with replacing(folder / _OWNER) as aside:
        aside.write_text(json.dumps(owner), "utf-8")
    try:
        yield
    finally:
        (folder / _OWNER).unlink(missing_ok=True)


def _refusal(folder: Path, owner: str) -> CommandError:
    return CommandError(
        f"{folder} is being worked on by {owner}: wait until that is done, or take another "
        "--runs_dir."
    )


def _owner(folder: Path) -> str:
    try:
        owner = json.loads((folder / _OWNER).read_text("utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):  # it took the lock a moment ago
        return "another process"
    return f"process {owner['pid']} on {owner['host']} since {owner['since']}"


def _owner_of_all(folder: Path) -> str:
    """Name who has the whole, or those who have its folds."""
    owners = []
    for fold in sorted(folder.glob("fold_*")):
        if (fold / _LOCK).exists():
            with _locked(fold, fcntl.LOCK_EX) as free:
                if not free:
                    owners.append(f"{_owner(fold)} ({fold.name})")
    return ", ".join(owners) or _owner(folder)
