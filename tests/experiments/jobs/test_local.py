from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest
import torch

from experiments.command.errors import CommandError
from experiments.jobs.local import LocalJob, LocalLauncher, inherited_environment, make_slots
from experiments.jobs.step import Step


def inherited(**environment: str) -> dict[str, str]:
    return inherited_environment(environment, threads=3)


def test_a_step_is_no_part_of_a_sweep_or_of_another_run() -> None:
    found = inherited(
        WANDB_RUN_ID="a",
        WANDB_SWEEP_ID="b",
        WANDB_SWEEP_PARAM_PATH="c",
        WANDB_RUN_GROUP="d",
        WANDB_SERVICE="e",
        FER_LIGHTNING_RUN="{}",
        FER_LIGHTNING_STEP="{}",
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
    assert {name for name in found if not name.startswith("PYTHON")} == {
        "WANDB_MODE",
        "WANDB_PROJECT",
        "WANDB_API_KEY",
        "PATH",
        "OMP_NUM_THREADS",
        "MKL_NUM_THREADS",
    }


def test_threads_are_divided_unless_a_person_did() -> None:
    assert inherited()["OMP_NUM_THREADS"] == inherited()["MKL_NUM_THREADS"] == "3"
    assert inherited(OMP_NUM_THREADS="5")["MKL_NUM_THREADS"] == "5"


def test_a_step_imports_what_its_parent_imports(repository: Path) -> None:
    assert str(repository) in inherited(PYTHONPATH="/x")["PYTHONPATH"].split(os.pathsep)


def step(folder: Path, code: str, name: str = "fold_00", **told: str) -> Step:
    command = [sys.executable, "-u", "-S", "-c", code]
    return Step(
        name, "fit", folder / name, lambda: command, lambda: False, environment=lambda: told
    )


def started(folder: Path, code: str, launcher: LocalLauncher | None = None) -> LocalJob:
    launcher = launcher or LocalLauncher([None])
    launcher.start(step(folder, code, f"fold_{len(launcher.running):02d}"))
    return launcher.running[-1]


@pytest.mark.parametrize(("device", "seen"), [("2", "2 x"), (None, "0,1 x")])
def test_a_step_sees_its_device_and_what_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: str | None, seen: str
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    launcher = LocalLauncher([device])
    code = "import os; print(os.environ['CUDA_VISIBLE_DEVICES'], os.environ['TOLD'])"
    launcher.start(step(tmp_path, code, TOLD="x"))
    assert not launcher.has_room()
    (job,) = launcher.running
    job.process.wait()
    assert job.output() == f"{seen}\n"
    assert launcher.ended() == [job]
    assert launcher.ended() == launcher.running == []
    assert launcher.has_room()


def test_the_log_is_added_to_and_the_last_start_read(tmp_path: Path) -> None:
    for number in (1, 2):
        found = started(tmp_path, f"print('start {number}')")
        found.process.wait()
    assert found.output() == "start 2\n"
    assert found.last_line() == "start 2"
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
    found = started(tmp_path, code)
    found.process.wait()
    assert found.sentence() == said


def test_stopping_asks_first_and_then_kills(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("experiments.jobs.local._GRACE", 0.2)
    launcher = LocalLauncher([None, None])
    deaf = started(
        tmp_path,
        "import signal, time; signal.signal(15, signal.SIG_IGN); print('deaf'); time.sleep(60)",
        launcher,
    )
    while "deaf" not in deaf.output():
        time.sleep(0.01)
    polite = started(tmp_path, "import time; time.sleep(60)", launcher)
    launcher.stop()
    assert deaf.exit_code == -signal.SIGKILL
    assert polite.exit_code == -signal.SIGTERM


def test_what_a_step_started_is_killed_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("experiments.jobs.local._GRACE", 0.0)
    # The grandchild holds the far end of a pipe for as long as it lives.
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    code = (
        "import signal, subprocess, sys, time; signal.signal(15, signal.SIG_IGN)\n"
        f"held = open({str(pipe)!r}, 'w')\n"
        "subprocess.Popen(['sleep', '60'], stdout=held)\n"
        "held.write('x'); held.flush(); time.sleep(60)"
    )
    launcher = LocalLauncher([None])
    started(tmp_path, code, launcher)
    with pipe.open() as end:
        assert end.read(1) == "x"
        launcher.stop()
        assert end.read() == ""  # returns when nobody has it any more


@pytest.fixture
def _four_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def test_without_devices_there_are_jobs() -> None:
    assert make_slots((), None) == [None]
    assert make_slots((), 3) == [None] * 3


@pytest.mark.usefixtures("_four_gpus")
def test_one_step_a_device() -> None:
    assert make_slots(("0", "3"), None) == ["0", "3"]
    assert make_slots(("0", "3"), 3) == ["0", "3", "0"]
    assert make_slots(("GPU-0a1b",), None) == ["GPU-0a1b"]


@pytest.mark.usefixtures("_four_gpus")
def test_auto_takes_every_device(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert make_slots(("auto",), None) == ["0", "1", "2", "3"]
    assert make_slots(("auto",), 2) == ["0", "1"]
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert make_slots(("auto",), None) == [None]
    assert "no GPU is visible here, so one step runs at a time" in capsys.readouterr().out
    assert make_slots(("auto",), 2) == [None, None]


@pytest.mark.usefixtures("_four_gpus")
def test_devices_count_among_those_visible(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "6,7,2,5")
    assert make_slots(("1", "3"), None) == ["7", "5"]


@pytest.mark.usefixtures("_four_gpus")
def test_a_device_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CommandError, match="names GPU 4, but this machine shows only 4"):
        make_slots(("0", "4"), None)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(CommandError, match="names GPU 0, but this machine shows none"):
        make_slots(("0",), None)
