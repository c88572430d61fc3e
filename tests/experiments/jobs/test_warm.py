"""Steps that are forks: each test asks the one server that this process starts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from experiments.jobs.context import StepContext
from experiments.jobs.local import LocalJob, LocalLauncher
from experiments.jobs.step import PROGRAM, Step
from experiments.jobs.warm import WarmProcess, can_be_warm

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a fork is not safe")


def start(folder: Path, *arguments: str, digest: str = "digest") -> LocalJob:
    launcher = LocalLauncher([None])
    context = StepContext(str(folder), "group", "id", digest)
    command = [*PROGRAM, *arguments]
    launcher.start(
        Step("fold", "fit", folder, lambda: command, lambda: False, environment=context.environment)
    )
    (job,) = launcher.running
    assert isinstance(job.process, WarmProcess)
    return job


def test_a_fork_is_killed_with_its_launcher(tmp_path: Path) -> None:
    code = f"""
import time
from pathlib import Path
from experiments.command.console import quiet
from experiments.command.resolve import ResolvedExperiment
from tests.experiments.jobs.test_warm import start
fit = ["--config=experiments/emotion_gan.yaml"]  # draws faces for a minute first
with quiet():
    digest = ResolvedExperiment(fit).digest
job = start(Path({str(tmp_path)!r}), "fit", *fit, digest=digest)
print(job.process.pid, flush=True)
time.sleep(60)
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[3])}
    launcher = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=tmp_path, env=environment
    )
    assert launcher.stdout is not None
    with launcher.stdout:
        step = int(launcher.stdout.readline())
    while os.getsid(step) != step:  # until it runs our code
        time.sleep(0.01)
    time.sleep(0.2)
    assert lives(step)
    launcher.kill()
    launcher.wait()
    deadline = time.monotonic() + 30
    while lives(step) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not lives(step)


def lives(process: int) -> bool:
    """Tell whether a process can still do anything; the server may take long to bury it."""
    try:
        status = Path(f"/proc/{process}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def test_only_lightning_is_forked() -> None:
    assert can_be_warm([*PROGRAM, "fit"])
    assert not can_be_warm([sys.executable, "-c", "pass"])
    assert not can_be_warm(["lightning", "fit"])


@pytest.mark.parametrize(("length", "fits"), [(75, True), (76, False)])
def test_the_server_needs_a_short_path_for_its_socket(
    length: int, fits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = "/tmp/" + "x" * (length - 5)
    monkeypatch.setattr(tempfile, "tempdir", folder)
    assert can_be_warm([*PROGRAM, "fit"]) == fits


def test_a_fork_ends_as_a_new_process_does(tmp_path: Path) -> None:
    helped = start(tmp_path, "--help")
    assert helped.process.wait() == 0
    assert "usage: lightning" in helped.output()
    wrong = start(tmp_path, "fitt")
    assert wrong.process.wait() == 2
    assert "There is no command 'fitt'" in wrong.sentence()
    assert os.environ.get("FER_LIGHTNING_STEP") is None


def test_a_fork_leaves_the_folders_of_its_server_to_the_next(tmp_path: Path) -> None:
    code = f"""
import tempfile
from pathlib import Path
from tests.experiments.jobs.test_warm import start
for _ in range(2):
    assert start(Path({str(tmp_path)!r}), "--help").process.wait() == 0
    print(len(list(Path(tempfile.gettempdir()).glob("*wandb-media"))))
"""
    command, path = [sys.executable, "-c", code], str(Path(__file__).resolve().parents[3])
    with tempfile.TemporaryDirectory() as folder:  # the path of a socket in it has to be short
        environment = {**os.environ, "PYTHONPATH": path, "TMPDIR": folder}
        assert subprocess.check_output(command, cwd=tmp_path, env=environment) == b"1\n1\n"
        deadline = time.monotonic() + 30  # the server ends after this process, and removes its own
        while (left := list(Path(folder).glob("*wandb-media"))) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not left


def test_a_fork_leads_a_session_and_can_be_ended(tmp_path: Path) -> None:
    job = start(tmp_path, "fit", "--config=experiments/resnet18.yaml")
    job.kill()  # it may not lead its session yet
    assert job.exit_code == -signal.SIGKILL
    job = start(tmp_path, "fit", "--config=experiments/resnet18.yaml")
    while os.getsid(job.process.pid) != job.process.pid:
        time.sleep(0.01)
    job.kill()
    assert job.exit_code == -signal.SIGKILL
