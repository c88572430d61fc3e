from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from experiments.command.errors import CommandError
from experiments.jobs.lock import lock_steps

# Another process that holds a lock as `lock_steps` does, until its input ends.
HOLDER = """
import fcntl, os, sys
lock = os.open(sys.argv[1] + "/.steps.lock", os.O_RDWR | os.O_CREAT)
fcntl.lockf(lock, fcntl.LOCK_SH if sys.argv[2] == "shared" else fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""

Hold = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def hold() -> Iterator[Hold]:
    holders = []

    def start(
        folder: Path, *, shared: bool = False, pid: int | None = None
    ) -> subprocess.Popen[bytes]:
        folder.mkdir(parents=True, exist_ok=True)
        kind = "shared" if shared else "alone"
        holder = subprocess.Popen(
            [sys.executable, "-S", "-c", HOLDER, str(folder), kind],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        holders.append(holder)
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        if pid is not None:
            owner = {"pid": pid, "host": "node7", "since": "2025-01-02 03:04:05"}
            (folder / ".owner.json").write_text(json.dumps(owner))
        return holder

    yield start
    for holder in holders:
        holder.kill()
        holder.communicate()


def test_the_second_is_refused_naming_the_first(tmp_path: Path, hold: Hold) -> None:
    hold(tmp_path, pid=4711)
    with (
        pytest.raises(
            CommandError, match="by process 4711 on node7 since 2025-01-02 03:04:05: wait"
        ),
        lock_steps(tmp_path),
    ):
        pass


def test_a_killed_one_does_not_keep_others_out(tmp_path: Path, hold: Hold) -> None:
    holder = hold(tmp_path, pid=4711)
    holder.kill()
    holder.wait()
    with lock_steps(tmp_path):
        owner = json.loads((tmp_path / ".owner.json").read_text())
        assert owner["pid"] != 4711
    assert not (tmp_path / ".owner.json").exists()


def test_folds_of_a_cluster_array_run_beside_each_other(tmp_path: Path, hold: Hold) -> None:
    hold(tmp_path, shared=True)
    hold(tmp_path / "fold_01", pid=4711)
    with lock_steps(tmp_path, "fold_02"):
        pass
    with (
        pytest.raises(CommandError, match=r"fold_01 is being worked on by process 4711"),
        lock_steps(tmp_path, "fold_01"),
    ):
        pass


def test_the_whole_waits_for_its_folds(tmp_path: Path, hold: Hold) -> None:
    hold(tmp_path, shared=True)
    hold(tmp_path / "fold_01", pid=4711)
    hold(tmp_path / "fold_03", pid=4712)
    (tmp_path / "fold_02").mkdir()
    with (
        pytest.raises(
            CommandError, match=r"4711 on .* \(fold_01\), process 4712 on .* \(fold_03\)"
        ),
        lock_steps(tmp_path),
    ):
        pass


def test_a_fold_waits_for_the_whole(tmp_path: Path, hold: Hold) -> None:
    hold(tmp_path, pid=4711)
    with (
        pytest.raises(CommandError, match="by process 4711 on node7"),
        lock_steps(tmp_path, "fold_02"),
    ):
        pass
