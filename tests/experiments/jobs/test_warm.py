"""Steps that are forks: each test asks the one server that this process starts."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from experiments.jobs.context import StepContext
from experiments.jobs.local import LocalJob, LocalLauncher
from experiments.jobs.step import PROGRAM, Step
from experiments.jobs.warm import WarmProcess, can_be_warm

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a fork is not safe")


def start(folder: Path, *arguments: str) -> LocalJob:
    launcher = LocalLauncher([None])
    context = StepContext(str(folder), "group", "id", "digest")
    command = [*PROGRAM, *arguments]
    launcher.start(
        Step("fold", "fit", folder, lambda: command, lambda: False, environment=context.environment)
    )
    (job,) = launcher.running
    assert isinstance(job.process, WarmProcess)
    return job


def test_only_lightning_is_forked() -> None:
    assert can_be_warm([*PROGRAM, "fit"])
    assert not can_be_warm([sys.executable, "-c", "pass"])
    assert not can_be_warm(["lightning", "fit"])


def test_a_fork_ends_as_a_new_process_does(tmp_path: Path) -> None:
    helped = start(tmp_path, "--help")
    assert helped.process.wait() == 0
    assert "usage: lightning" in helped.output()
    wrong = start(tmp_path, "fitt")
    assert wrong.process.wait() == 2
    assert "There is no command 'fitt'" in wrong.sentence()
    assert os.environ.get("FER_LIGHTNING_STEP") is None


def test_a_fork_leads_a_session_and_can_be_ended(tmp_path: Path) -> None:
    job = start(tmp_path, "fit", "--config=experiments/resnet18.yaml")
    job.kill()  # it may not lead its session yet
    assert job.exit_code == -signal.SIGKILL
    job = start(tmp_path, "fit", "--config=experiments/resnet18.yaml")
    while os.getsid(job.process.pid) != job.process.pid:
        time.sleep(0.01)
    job.kill()
    assert job.exit_code == -signal.SIGKILL
