"""One process a folder of steps: a lock that names who holds it."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

from datamodules.store.lock import try_lock
from datamodules.store.replacing import read_json, write_json
from experiments.command.errors import CommandError

_LOCK, _OWNER = ".steps.lock", ".owner.json"


@contextlib.contextmanager
def lock_steps(folder: Path, part: str | None = None) -> Iterator[None]:
    """Keep others out of a folder of steps until the block ends, or this process dies.

    Args:
        folder: Folder of all steps.
        part: Folder within it to keep others out of; other processes may run other parts.

    Raises:
        CommandError: If another process runs steps there, naming that one.
    """
    with contextlib.ExitStack() as held:
        whole = try_lock(folder / _LOCK, shared=part is not None)
        if whole is None:
            raise _refusal(folder, _owners_of_parts(folder) or _owner(folder))
        held.enter_context(whole)
        if part is not None:
            # Nobody has the whole now: a name there was left by a killed process.
            (folder / _OWNER).unlink(missing_ok=True)
            folder /= part
            own = try_lock(folder / _LOCK)
            if own is None:
                raise _refusal(folder, _owner(folder))
            held.enter_context(own)
        held.callback((folder / _OWNER).unlink, missing_ok=True)
        since = time.strftime("%Y-%m-%d %H:%M:%S")
        owner = {"pid": os.getpid(), "host": socket.gethostname(), "since": since}
        write_json(folder / _OWNER, owner)
        yield


def _refusal(folder: Path, owner: str) -> CommandError:
    return CommandError(
        f"{folder} is being worked on by {owner}: wait until that is done, or take another "
        "--runs_dir."
    )


def _owner(folder: Path) -> str:
    owner = read_json(folder / _OWNER, pid=int, host=str, since=str)
    if owner is None:  # it took the lock a moment ago
        return "another process"
    return f"process {owner['pid']} on {owner['host']} since {owner['since']}"


def _owners_of_parts(folder: Path) -> str:
    owners = []
    for path in sorted(folder.glob(f"*/{_LOCK}")):
        free = try_lock(path)
        if free is None:
            owners.append(f"{_owner(path.parent)} ({path.parent.name})")
        else:
            free.release()
    return ", ".join(owners)
