"""Steps as jobs of a SLURM that a few lines stand for; `tests/slurm` has a real one."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from experiments.command.errors import CommandError
from experiments.jobs.context import StepContext
from experiments.jobs.launch import detach, make_launcher
from experiments.jobs.local import LocalLauncher
from experiments.jobs.options import LauncherOptions
from experiments.jobs.runner import Runner
from experiments.jobs.slurm_launcher import SlurmLauncher
from experiments.jobs.step import Step
from tests.experiments.jobs.test_runner import WAIT, Notes, calls, step, wait_until

FAKE = Path(__file__).with_name("fake_slurm.py")


class Told(Notes):
    def adopted(self, step: Step) -> None:
        self.told.append(f"adopted {step.name}")


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder in which the stand-in keeps its jobs."""
    programs, jobs = tmp_path / "bin", tmp_path / "jobs"
    programs.mkdir()
    jobs.mkdir()
    for name in ("sbatch", "squeue", "srun"):
        (programs / name).write_text(f"#!{sys.executable} -S\n{FAKE.read_text()}")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("FAKE_SLURM", str(jobs))
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    monkeypatch.setattr(SlurmLauncher, "look_every", 0.05)
    yield jobs
    for about in map(state, jobs.glob("*.json")):
        if "pid" in about:
            try:
                os.killpg(about["pid"], signal.SIGKILL)
            except ProcessLookupError:
                continue


def state(file: Path) -> dict[str, object]:
    return json.loads(file.read_text())


def change(slurm: Path, number: int, **values: object) -> None:
    file = slurm / f"{number}.json"
    file.write_text(json.dumps({**state(file), **values}))


def run(*steps: Step, jobs: int | None = None, **options: str) -> tuple[Runner, list[str]]:
    runner = Runner(SlurmLauncher(options, jobs), notes := Told())
    runner.add(steps)
    runner.run()
    return runner, notes.told


def test_steps_are_jobs_and_a_step_waits_for_what_it_needs(slurm: Path) -> None:
    _, told = run(step("a"), step("b", "a"), partition="gpu", exclusive="")
    assert told == ["start a", "done a", "start b", "done b"]
    options = state(slurm / "1.json")["options"]
    assert isinstance(options, dict)
    assert options.pop("job-name").startswith(f"{Path.cwd().name}-a-fit-")
    assert options == {
        "open-mode": "append",
        "requeue": "",
        "signal": "USR1@120",
        "ntasks": "1",
        "partition": "gpu",
        "exclusive": "",
        "chdir": str(Path.cwd()),
        "output": str(Path("a/log.txt").absolute()),
    }
    assert "fit, job 1 on n1" in Path("a/log.txt").read_text()


def test_a_failed_job_is_told_by_its_last_sentence(slurm: Path) -> None:
    said = "print('lightning: The disk is full.', flush=True); sys.exit(1)"
    runner, told = run(step("a", does=said), step("b", "a"), step("c"))
    assert {*told} == {"start a", "start c", "failed a: The disk is full. (job 1) (1)", "done c"}
    assert [*runner.failures] == ["a"]
    # Given again, it is submitted again.
    _, told = run(step("a"), step("b", "a"))
    assert told == ["start a", "done a", "start b", "done b"]


def test_a_killed_command_is_told_by_its_signal(slurm: Path) -> None:
    runner, _ = run(step("a", does="os.kill(os.getpid(), signal.SIGKILL)"))
    assert runner.failures == {"a": "killed by SIGKILL (out of memory?) (job 1)"}


def test_a_job_that_its_node_took_along_is_lost(slurm: Path) -> None:
    class Killing(Told):
        def look(self, jobs: object) -> None:
            if Path("a/waits").exists():
                change(slurm, 1, state="NODE_FAIL")

    runner = Runner(SlurmLauncher({}), notes := Killing())
    runner.add([step("a", does=WAIT), step("b")])
    runner.run()
    assert "failed a: job 1 ended as NODE_FAIL (-9)" in notes.told
    assert "done b" in notes.told


def test_a_forgotten_job_is_lost_once_its_files_would_be_seen(
    slurm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("experiments.jobs.slurm_launcher._PATIENCE", 0.2)
    launcher = SlurmLauncher({})
    (slurm / "hold").touch()
    launcher.start(step("a"))
    change(slurm, 1, state="FORGOTTEN")
    assert launcher.ended() == []
    time.sleep(0.3)
    (job,) = launcher.ended()
    assert job.sentence() == "job 1 ended as unknown to SLURM"


def test_why_a_job_waits_is_shown(slurm: Path) -> None:
    (slurm / "hold").touch()
    launcher = SlurmLauncher({})
    launcher.start(step("a"))
    assert launcher.ended() == []
    assert launcher.running[0].output() == "job 1 waits in the queue (Priority)"


def test_a_controller_that_does_not_answer_ends_nothing(slurm: Path) -> None:
    launcher = SlurmLauncher({})
    launcher.start(step("a"))
    wait_until(Path("a/exit_code").exists)
    (slurm / "down").touch()
    assert launcher.ended() == []
    (slurm / "down").unlink()
    wait_until(lambda: len(launcher.ended()) == 1)


def test_what_waits_or_runs_is_adopted(slurm: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As after kill -9: nothing but the queue tells of the jobs."""
    first = SlurmLauncher({})
    first.start(step("a", does="while not (folder / 'go').exists(): time.sleep(0.02)"))
    first.stop()
    assert capsys.readouterr().err == (
        "1 jobs stay in SLURM's queue: the same command adopts them, scancel 1 ends them.\n"
    )
    wait_until(Path("calls.txt").exists)

    class Opening(Told):
        def look(self, jobs: object) -> None:
            Path("a/go").touch()

    runner = Runner(SlurmLauncher({}), notes := Opening())
    runner.add([step("a"), step("b", "a")])
    runner.run()
    assert notes.told == ["adopted a", "done a", "start b", "done b"]
    assert calls() == ["a -", "b -"]


def test_a_job_sent_back_to_the_queue_has_not_ended(slurm: Path) -> None:
    launcher = SlurmLauncher({})
    launcher.start(step("a", does="sys.exit(143)"))
    wait_until(Path("a/exit_code").exists)
    change(slurm, 1, state="PENDING")
    assert launcher.ended() == []
    assert SlurmLauncher({}).adopt(step("a"))


def test_no_more_jobs_are_in_the_queue_than_wanted(slurm: Path) -> None:
    notes = Told()
    runner = Runner(SlurmLauncher({}, 2), notes)
    runner.add(step(name, does="time.sleep(0.1)") for name in "abcd")
    runner.run()
    assert notes.most == 2


def test_slurm_is_asked_once_for_all_that_may_be_adopted(slurm: Path) -> None:
    launcher = SlurmLauncher({})
    assert not any(launcher.adopt(step(name)) for name in "abcd")
    assert (slurm / "asked").read_text() == "squeue\n"


def test_the_job_is_told_what_a_step_is_told_and_no_secret(
    slurm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith(("SLURM_", "OMP_", "MKL_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("WANDB_API_KEY", "secret")
    monkeypatch.setenv("WANDB_RUN_ID", "a trial's")
    code = "import os, sys; print(*(os.environ.get(n) for n in sys.argv[1:]), sep='|')"
    names = ("FER_LIGHTNING_STEP", "OMP_NUM_THREADS", "WANDB_API_KEY", "WANDB_RUN_ID")
    context = StepContext("it's", "group", "0a", "ff")
    told = Step(
        "a",
        "fit",
        Path.cwd() / "50 % 'x'",
        lambda: [sys.executable, "-S", "-c", code, *names],
        lambda: True,
        environment=context.environment,
    )
    launcher = SlurmLauncher({"cpus-per-task": "3"})
    launcher.start(told)
    assert "secret" not in (told.folder / "job.sh").read_text()
    assert "--output='" in (told.folder / "job.sh").read_text()
    assert f"{Path.cwd()}/50 %% " in (told.folder / "job.sh").read_text()
    wait_until(lambda: launcher.ended() != [])
    parent, *rest = told.log.read_text().splitlines()[-1].split("|")
    assert json.loads(parent) == {**dataclasses.asdict(context), "parent": None}
    assert rest == ["3", "secret", "None"]


def test_what_slurm_refuses_is_said(slurm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (slurm / "refuse").touch()
    with pytest.raises(CommandError, match="error: QOSMaxSubmitJobPerUserLimit Change its"):
        SlurmLauncher({}).start(step("a"))
    with pytest.raises(CommandError, match=r"--slurm\.array is decided by the launcher"):
        SlurmLauncher({"array": "0-3"})
    with pytest.raises(CommandError, match=r"--slurm\.cpus_per_task takes a whole number, not x\."):
        SlurmLauncher({"cpus-per-task": "x"})
    monkeypatch.setenv("PATH", "")
    with pytest.raises(CommandError, match="--launcher slurm needs sbatch, which is not on this"):
        SlurmLauncher({})


def test_a_job_does_the_waiting(slurm: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (slurm / "hold").touch()
    options = LauncherOptions(slurm={"partition": "gpu", "gpus-per-node": "4"}, detach=True)
    args = ["-c", "a.yaml", "--launcher=slurm", "--detach"]
    detach(options, "crossval", args, Path("runs/a"))
    script = Path("runs/a/launcher/job.sh").read_text()
    assert f"{sys.executable} -m experiments crossval -c a.yaml --launcher=slurm\n" in script
    assert "#SBATCH --partition=gpu\n" in script
    assert "#SBATCH --cpus-per-task=1\n" in script
    assert "gpus-per-node" not in script
    assert "Job 1 submits the steps, waits for them and sums up" in capsys.readouterr().out
    detach(options, "crossval", args, Path("runs/a"))
    assert "Job 1 does so already" in capsys.readouterr().out


def test_where_steps_run(slurm: Path) -> None:
    assert isinstance(make_launcher(LauncherOptions(jobs=2)), LocalLauncher)
    assert isinstance(make_launcher(LauncherOptions(slurm={})), SlurmLauncher)
