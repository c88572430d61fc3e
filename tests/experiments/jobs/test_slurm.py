from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from experiments.command.errors import CommandError
from experiments.jobs.signals import ends_in_order
from experiments.jobs.slurm import (
    refuse_missing_tasks,
    refuse_several_tasks,
    refuse_unequal_tasks,
    slurm_job,
)


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A batch job, and the file in which a stand-in of scontrol writes what it is asked for."""
    for name in [name for name in os.environ if name.startswith("SLURM_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("SLURM_JOB_NAME", "train")
    scontrol = tmp_path / "scontrol"
    scontrol.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\n')
    scontrol.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return tmp_path / "asked"


def test_the_warning_sends_the_job_back_after_the_clean_up(job: Path) -> None:
    before = signal.getsignal(signal.SIGUSR1)
    asked: list[bool] = []

    def work() -> None:
        with ends_in_order(lambda: "1 of 3 folds are done"):
            try:
                os.kill(os.getpid(), signal.SIGUSR1)
            finally:
                asked.append(job.exists())

    with pytest.raises(CommandError) as error:
        work()
    assert asked == [False]
    assert str(error.value) == (
        "SLURM ends job 7: it goes back to the queue. 1 of 3 folds are done."
    )
    assert job.read_text() == "requeue 7\n"
    assert signal.getsignal(signal.SIGUSR1) == before


def test_without_scontrol_it_is_said_before_the_work(
    job: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "")
    with ends_in_order(lambda: ""):
        assert "no scontrol here to send job 7 back to the queue" in capsys.readouterr().out


def test_names_of_jobs(job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "5")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "2")
    assert slurm_job() == "5_2"
    monkeypatch.setenv("SLURM_JOB_NAME", "bash")
    assert slurm_job() is None


def test_tasks_that_do_not_fit_are_refused(job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_several_tasks("crossval")
    refuse_missing_tasks("fit")
    monkeypatch.setenv("SLURM_NTASKS", "2")
    with pytest.raises(CommandError, match="This job has 2 tasks, but lightning fit was started"):
        refuse_missing_tasks("fit")
    monkeypatch.setenv("SLURM_STEP_ID", "0")
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "2")
    refuse_missing_tasks("fit")
    with pytest.raises(CommandError, match="srun starts 2 tasks of lightning crossval"):
        refuse_several_tasks("crossval")


def test_a_trainer_of_another_number_of_processes_is_refused(
    job: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_unequal_tasks("fit", 1, 1)
    refuse_unequal_tasks("fit", "auto", 1)
    with pytest.raises(CommandError, match=r"as 1 tasks, but trainer\.devices 2 on"):
        refuse_unequal_tasks("fit", 2, 1)
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "4")
    refuse_unequal_tasks("fit", "2", 2)
    with pytest.raises(CommandError, match=r"as 4 tasks, but trainer\.devices 1 on"):
        refuse_unequal_tasks("fit", 1, 1)
    monkeypatch.delenv("SLURM_JOB_ID")
    refuse_unequal_tasks("fit", 1, 1)
