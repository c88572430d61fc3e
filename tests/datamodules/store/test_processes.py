"""A cache that processes build: one that is killed, and two at once."""

import fcntl
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.datamodules import cache_child
from tests.datamodules.cache_child import ROWS, assert_whole


def start(repository: Path, folder: Path, log: Path, pause: float) -> subprocess.Popen[str]:
    child = [sys.executable, cache_child.__file__, str(repository), str(folder), str(log)]
    return subprocess.Popen([*child, str(pause)], stderr=subprocess.PIPE, text=True)


def wait_for_rows(log: Path, rows: int) -> None:
    deadline = time.monotonic() + 60
    while not log.exists() or len(log.read_text().split()) < rows:
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_killed_build_goes_on_where_it_was(tmp_path: Path, repository: Path) -> None:
    folder, log = tmp_path / "cache", tmp_path / "log"
    for rows in (7, 21):
        child = start(repository, folder, log, 0.01)
        wait_for_rows(log, rows)
        child.send_signal(signal.SIGKILL)
        child.communicate()
        assert child.returncode == -signal.SIGKILL
        assert [path.suffix for path in folder.iterdir() if path.is_dir()] == [".building"]
    assert_whole(cache_child.build(folder, log))
    computed = [int(row) for row in log.read_text().split()]
    assert set(computed) == set(range(ROWS))
    # Each kill costs at most the row that each of the two threads was at.
    assert len(computed) <= ROWS + 2 * 2


def test_of_two_processes_one_builds_and_the_other_waits(tmp_path: Path, repository: Path) -> None:
    name = cache_child.build(tmp_path / "to learn the name", tmp_path / "log").path.name
    folder, log = tmp_path / "cache", tmp_path / "rows"
    folder.mkdir()
    with (folder / f"{name}.lock").open("w") as lock:
        fcntl.lockf(lock, fcntl.LOCK_EX)
        children = [start(repository, folder, log, 0.01) for _ in range(2)]
        for child in children:
            assert child.stderr is not None
            assert "waiting for it" in child.stderr.readline()
    # Both set out at once now.
    for child in children:
        child.communicate(timeout=60)
    assert [child.returncode for child in children] == [0, 0]
    assert sorted(int(row) for row in log.read_text().split()) == list(range(ROWS))
    assert_whole(cache_child.build(folder, log))
