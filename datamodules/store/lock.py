"""One lock on a file, between the processes of a machine and between the threads of one."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from datamodules.errors import UserError

_POLL = 0.05  # seconds between two looks at a lock that another holds
_HELD_ELSEWHERE = frozenset({errno.EACCES, errno.EAGAIN})
_UNSUPPORTED = frozenset({errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK})


class Lock(contextlib.AbstractContextManager["Lock"]):
    """A lock that is held, until it is released, its block ends, or its process dies.

    It is a POSIX record lock. Unlike the locks of `flock`, which the `filelock` package takes, it
    is not inherited: a data loading worker that outlives a killed run does not keep the next one
    out. A record lock neither keeps out its own process nor survives that this process closes
    another descriptor of the file, so a table of the process does the one and prevents the other.

    Made by `try_lock` and `lock` only.

    Args:
        path: The file, resolved; it is never deleted.
        shared: Whether others may hold the lock in the same way.
    """

    def __init__(self, path: Path, *, shared: bool) -> None:
        self.path = path
        self.shared = shared
        self._pid = os.getpid()

    def release(self) -> None:
        """Let others take the lock; a second call does nothing, nor one in a forked child."""
        with _table:
            users = _users.get(self.path, [])
            if self._pid != os.getpid() or self not in users:
                return
            users.remove(self)
            if not users:
                del _users[self.path]
                os.close(_files.pop(self.path))

    def __exit__(self, *_: object) -> None:
        self.release()


# What this process holds. The lock files are opened and closed here only, once a path.
_table = threading.Lock()
_users: dict[Path, list[Lock]] = {}
_files: dict[Path, int] = {}


def try_lock(path: Path, *, shared: bool = False) -> Lock | None:
    """Take a lock if it is free.

    Args:
        path: The lock file; it and its folder are made if need be.
        shared: Whether others may hold it in the same way; else nobody else holds it.

    Returns:
        The lock, or None where another process, or another user in this one, holds it.

    Raises:
        UserError: If the file system has no locks.
        OSError: If the file cannot be made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path = path.resolve()
    with _table:
        users = _users.get(path, [])
        if users and not (shared and users[0].shared):
            return None
        if not users:
            file = _open_locked(path, shared=shared)
            if file is None:
                return None
            _files[path], _users[path] = file, users
        users.append(Lock(path, shared=shared))
        return users[-1]


def lock(path: Path, *, shared: bool = False, on_wait: Callable[[], None]) -> Lock:
    """Take a lock, after waiting for those who hold it; see `try_lock`.

    Before it waits, it calls `on_wait` once, to tell the user.
    """
    # The kernel's own waiting would call two threads that wait for two processes a deadlock.
    waited = False
    while (taken := try_lock(path, shared=shared)) is None:
        if not waited:
            on_wait()
        waited = True
        time.sleep(_POLL)
    return taken


def _open_locked(path: Path, *, shared: bool) -> int | None:
    """Open a file and lock it; None where another process has locked it."""
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.lockf(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError as error:
        os.close(file)
        if error.errno in _HELD_ELSEWHERE:
            return None
        if error.errno in _UNSUPPORTED:
            raise UserError(
                f"The file system of {path.parent} has no file locks ({error.strerror}), which "
                "keep two processes from writing the same files; choose a folder on another one."
            ) from error
        raise
    return file


def _forget() -> None:
    """Start a forked child without locks: those of its parent are not its own."""
    global _table  # another thread of the parent may have held it
    _table = threading.Lock()
    for file in _files.values():
        os.close(file)
    _users.clear()
    _files.clear()


os.register_at_fork(after_in_child=_forget)
