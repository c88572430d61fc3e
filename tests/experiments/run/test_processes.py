from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from experiments.command.errors import CommandError
from experiments.run.processes import (
    Announcement,
    announce,
    find_announced,
    is_first_process,
    withdraw,
)

SAID = Announcement("runs/tiny/one", "runs/tiny/one/checkpoints/last.ckpt")


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        *("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID", "SLURM_JOB_ID"),
        *("TORCHELASTIC_RUN_ID", "FER_LIGHTNING_RUN"),
    ):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("environment", "first"),
    [
        ({}, True),
        ({"LOCAL_RANK": "0", "NODE_RANK": "0"}, True),
        ({"LOCAL_RANK": "1", "NODE_RANK": "0"}, False),
        ({"LOCAL_RANK": "0", "NODE_RANK": "1"}, False),
        ({"RANK": "0", "LOCAL_RANK": "0"}, True),
        ({"RANK": "2", "LOCAL_RANK": "0"}, False),
        ({"SLURM_PROCID": "3"}, False),
    ],
)
def test_who_is_first(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], first: bool
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert is_first_process() is first


def test_processes_that_lightning_starts_inherit_it(tmp_path: Path) -> None:
    announce(tmp_path, SAID)
    assert find_announced(tmp_path) == SAID
    withdraw(tmp_path)
    assert not list(tmp_path.iterdir())
    with pytest.raises(CommandError, match="srun or torchrun"):
        find_announced(tmp_path, patience=0)


@pytest.mark.parametrize("job", ["SLURM_JOB_ID", "TORCHELASTIC_RUN_ID"])
def test_processes_started_before_wait_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, job: str
) -> None:
    monkeypatch.setenv(job, "7")
    # Left by a job that was killed long ago.
    stale = Announcement("runs/tiny/zero", None)
    announce(tmp_path, stale)
    (meeting,) = tmp_path.iterdir()
    os.utime(meeting, (0, 0))
    monkeypatch.delenv("FER_LIGHTNING_RUN")

    found: list[Announcement] = []
    waiting = threading.Thread(target=lambda: found.append(find_announced(tmp_path, 20)))
    waiting.start()
    time.sleep(0.3)
    assert not found
    announce(tmp_path, SAID)
    waiting.join(20)
    assert found == [SAID]
    withdraw(tmp_path)
    assert not list(tmp_path.iterdir())
