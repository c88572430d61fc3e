import contextlib
import errno
import fcntl
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from datamodules.errors import UserError
from datamodules.store.lock import lock, try_lock

# Takes a lock, and holds it until its input ends; a fork of it goes on holding the open file.
HOLDER = """
import os, pathlib, sys, time, types
package = sys.modules["datamodules"] = types.ModuleType("datamodules")  # without Lightning
package.__path__ = ["datamodules"]
from datamodules.store.lock import try_lock
held = try_lock(pathlib.Path(sys.argv[1]), shared=sys.argv[2] == "shared")
if "fork" in sys.argv and os.fork() == 0:
    time.sleep(60)
print("held" if held else "refused", flush=True)
sys.stdin.read()
"""

Hold = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def hold(repository: Path) -> Iterator[Hold]:
    holders = []

    def start(path: Path, *options: str) -> subprocess.Popen[str]:
        holder = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(path), *(options or ("alone",))],
            cwd=repository,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        holders.append(holder)
        return holder

    yield start
    for holder in holders:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(holder.pid, signal.SIGKILL)
        holder.communicate()


def said(holder: subprocess.Popen[str]) -> str:
    assert holder.stdout is not None
    return holder.stdout.readline().strip()


def test_one_process_keeps_another_out(tmp_path: Path, hold: Hold) -> None:
    path = tmp_path / "new" / ".lock"
    holder = hold(path)
    assert said(holder) == "held"
    assert try_lock(path) is None
    assert try_lock(path, shared=True) is None
    holder.kill()
    holder.wait()
    taken = try_lock(path)
    assert taken is not None
    with taken:
        assert said(hold(path)) == "refused"
    assert said(hold(path)) == "held"


def test_many_processes_share_what_none_has_alone(tmp_path: Path, hold: Hold) -> None:
    path = tmp_path / ".lock"
    assert said(hold(path, "shared")) == "held"
    assert try_lock(path) is None
    taken = try_lock(path, shared=True)
    assert taken is not None
    assert said(hold(path, "shared")) == "held"
    taken.release()


def test_users_of_one_process_keep_each_other_out_and_share(tmp_path: Path, hold: Hold) -> None:
    path = tmp_path / ".lock"
    (tmp_path / "link").symlink_to(tmp_path)
    alone = try_lock(path)
    assert alone is not None
    assert try_lock(tmp_path / "link" / ".lock") is None
    assert try_lock(path, shared=True) is None
    alone.release()
    first, second = try_lock(path, shared=True), try_lock(path, shared=True)
    assert first is not None
    assert second is not None
    assert try_lock(path) is None
    first.release()
    first.release()
    # The second still holds it, against this process and against others.
    assert try_lock(path) is None
    assert said(hold(path)) == "refused"
    second.release()
    assert said(hold(path)) == "held"


def test_a_fork_of_a_killed_process_does_not_hold_its_lock(tmp_path: Path, hold: Hold) -> None:
    holder = hold(tmp_path / ".lock", "alone", "fork")
    assert said(holder) == "held"
    holder.kill()
    holder.wait()
    taken = try_lock(tmp_path / ".lock")
    assert taken is not None
    taken.release()


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_fork_neither_has_the_lock_nor_can_release_it(tmp_path: Path, hold: Hold) -> None:
    path = tmp_path / ".lock"
    taken = try_lock(path)
    assert taken is not None
    child = os.fork()
    if child == 0:
        taken.release()
        os._exit(0 if try_lock(path) is None else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert said(hold(path)) == "refused"
    taken.release()


def test_waiting_is_told_once_and_ends_with_the_lock(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    first = try_lock(path)
    assert first is not None
    told = []

    def wait() -> None:
        told.append("waits")
        threading.Timer(0.2, first.release).start()

    with lock(path, on_wait=wait):
        assert try_lock(path) is None
    with lock(path, on_wait=wait):
        pass
    assert told == ["waits"]


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK])
def test_a_file_system_without_locks_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(fcntl, "lockf", fail)
        with pytest.raises(UserError, match=rf"{tmp_path} has no file locks \(.*choose a folder"):
            try_lock(tmp_path / ".lock")
        with pytest.raises(UserError, match="has no file locks"):
            lock(tmp_path / ".lock", on_wait=lambda: None)
    taken = try_lock(tmp_path / ".lock")
    assert taken is not None
    taken.release()


def test_another_error_is_no_lock_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(fcntl, "lockf", fail)
    with pytest.raises(OSError, match="Input/output error"):
        try_lock(tmp_path / ".lock")
