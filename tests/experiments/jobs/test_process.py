from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from experiments.jobs.process import Child, child_environment, start_child, stop


def environment(device: str | None = None, **inherited: str) -> dict[str, str]:
    return child_environment(inherited, {"TOLD": "x"}, device=device, threads=3)


def test_a_fold_is_no_part_of_a_sweep_or_of_another_run() -> None:
    found = environment(
        WANDB_RUN_ID="a",
        WANDB_SWEEP_ID="b",
        WANDB_SWEEP_PARAM_PATH="c",
        WANDB_RUN_GROUP="d",
        WANDB_SERVICE="e",
        WANDB_NAME="f",
        SLURM_JOB_ID="1",
        SLURM_PROCID="0",
        RANK="0",
        LOCAL_RANK="0",
        MASTER_PORT="1",
        TORCHELASTIC_RUN_ID="2",
        WANDB_MODE="online",
        WANDB_PROJECT="faces",
        WANDB_API_KEY="local",
        PATH="/bin",
    )
    assert {name for name in found if name not in ("PYTHONUNBUFFERED",)} == {
        "WANDB_MODE",
        "WANDB_PROJECT",
        "WANDB_API_KEY",
        "PATH",
        "TOLD",
        "OMP_NUM_THREADS",
        "MKL_NUM_THREADS",
    }


def test_threads_are_divided_unless_a_person_did() -> None:
    assert environment()["OMP_NUM_THREADS"] == environment()["MKL_NUM_THREADS"] == "3"
    assert environment(OMP_NUM_THREADS="5")["MKL_NUM_THREADS"] == "5"


def test_a_fold_sees_its_device() -> None:
    assert environment("2", CUDA_VISIBLE_DEVICES="0,1,2")["CUDA_VISIBLE_DEVICES"] == "2"
    assert environment(CUDA_VISIBLE_DEVICES="0,1")["CUDA_VISIBLE_DEVICES"] == "0,1"


def child(tmp_path: Path, code: str) -> Child:
    return start_child([sys.executable, "-u", "-S", "-c", code], {}, tmp_path / "fold_00", 0, "fit")


def test_the_log_is_added_to_and_the_last_start_read(tmp_path: Path) -> None:
    for number in (1, 2):
        found = child(tmp_path, f"print('start {number}')")
        found.process.wait()
    assert found.output() == "start 2\n"
    assert "start 1\n" in (tmp_path / "fold_00" / "log.txt").read_text()


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import sys; print('lightning: No root.'); sys.exit(1)", "No root."),
        ("import sys; print('x\\nlightning: Expected:\\n  a/b'); sys.exit(2)", "Expected:\n  a/b"),
        ("raise ValueError('shapes')", "ValueError: shapes"),
        ("import os; os.kill(os.getpid(), 15)", "killed by SIGTERM"),
        ("import sys; sys.exit(3)", "exit code 3"),
    ],
)
def test_why_it_failed(tmp_path: Path, code: str, said: str) -> None:
    found = child(tmp_path, code)
    found.process.wait()
    assert found.sentence() == said


def test_stopping_asks_first_and_then_kills(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("experiments.jobs.process._GRACE", 0.2)
    deaf = child(
        tmp_path,
        "import signal, time; signal.signal(15, signal.SIG_IGN); print('deaf'); time.sleep(60)",
    )
    while "deaf" not in deaf.output():
        pass
    polite = child(tmp_path, "import time; time.sleep(60)")
    stop([deaf, polite])
    assert deaf.process.returncode == -signal.SIGKILL
    assert polite.process.returncode == -signal.SIGTERM


def test_what_a_fold_started_is_killed_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("experiments.jobs.process._GRACE", 0.0)
    # The grandchild holds the far end of a pipe for as long as it lives.
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    code = (
        "import signal, subprocess, sys, time; signal.signal(15, signal.SIG_IGN)\n"
        f"held = open({str(pipe)!r}, 'w')\n"
        "subprocess.Popen(['sleep', '60'], stdout=held)\n"
        "held.write('x'); held.flush(); time.sleep(60)"
    )
    found = child(tmp_path, code)
    with pipe.open() as end:
        assert end.read(1) == "x"
        stop([found])
        assert end.read() == ""  # returns when nobody has it any more
