"""A command that ends before its time, and the same command given again."""

from __future__ import annotations

import csv
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from experiments.cli import main
from experiments.run.folder import RunFolder, runs


def command(number: signal.Signals) -> list[str]:
    # The eighth step is the third batch of the second epoch.
    return [
        "fit",
        "--config=tiny.yaml",
        "--checkpoint.every_minutes=0",
        "--trainer.log_every_n_steps=1",
        "--model.signal_at=7",
        f"--model.signal_number={int(number)}",
    ]


def only_run(folder: Path, name: str = "runs") -> RunFolder:
    (run,) = runs(folder / name / "tiny")
    return run


def spawn(folder: Path, *args: str, **environment: str) -> subprocess.CompletedProcess[str]:
    root = Path(__file__).resolve().parents[2]
    return subprocess.run(
        [sys.executable, "-m", "experiments", *args],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
        timeout=240,
    )


@pytest.fixture
def signalled(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that appears with the signal."""
    path = folder / "signalled"
    monkeypatch.setenv("SIGNALLED", str(path))
    return path


def outcome(run: RunFolder) -> tuple[dict[str, torch.Tensor], str, set[tuple[str, ...]]]:
    saved = torch.load(run.last, weights_only=True)
    rest = str([saved[part] for part in ("optimizer_states", "lr_schedulers", "callbacks")])
    # All but the means over an epoch, of which a resumed run saw a part.
    logged: set[tuple[str, ...]] = {
        (row["step"], row["train/g"], row["val/x"])
        for row in csv.DictReader((run.path / "metrics.csv").read_text().splitlines())
        if row["train/g"] or row["val/x"]
    }
    return saved["state_dict"], rest, logged


def assert_as_uninterrupted(folder: Path, signalled: Path, args: list[str]) -> None:
    resumed: Any = outcome(only_run(folder))
    signalled.touch()
    main([*args, "--runs_dir=whole"])
    whole: Any = outcome(only_run(folder, "whole"))
    assert all(torch.equal(resumed[0][key], value) for key, value in whole[0].items())
    assert resumed[1:] == whole[1:]


def test_kill_9(folder: Path, signalled: Path, capfd: pytest.CaptureFixture[str]) -> None:
    killed = spawn(folder, *command(signal.SIGKILL))
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert only_run(folder).status["state"] == "running"
    main(command(signal.SIGKILL))
    assert "Going on with the unfinished run" in capfd.readouterr().err
    assert only_run(folder).status["state"] == "finished"
    assert_as_uninterrupted(folder, signalled, command(signal.SIGKILL))


@pytest.mark.parametrize(
    ("number", "code", "says"),
    [(signal.SIGINT, 130, "Stopped."), (signal.SIGTERM, 143, "Ended by SIGTERM.")],
)
def test_ctrl_c_and_sigterm(
    folder: Path,
    signalled: Path,
    capfd: pytest.CaptureFixture[str],
    number: signal.Signals,
    code: int,
    says: str,
) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(command(number))
    assert exit_.value.code == code
    last = only_run(folder).last
    said = capfd.readouterr().err.splitlines()[-1]
    assert said == f"{says} The same command goes on from {last.relative_to(folder)}."
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    main(command(number))
    assert_as_uninterrupted(folder, signalled, command(number))


def test_before_the_first_checkpoint_the_same_command_starts_again(
    folder: Path, signalled: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    args = ["fit", "--config=tiny.yaml", "--model.signal_at=1", "--model.signal_number=2"]
    with pytest.raises(SystemExit):
        main(args)
    assert "no checkpoint yet" in capfd.readouterr().err
    main(args)
    assert only_run(folder).status["state"] == "finished"


def test_a_slurm_job_goes_back_to_the_queue_with_a_checkpoint(
    folder: Path, signalled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scontrol = folder / "bin" / "scontrol"
    scontrol.parent.mkdir()
    scontrol.write_text(f'#!/bin/sh\necho "$@" >> {folder}/asked\n')
    scontrol.chmod(scontrol.stat().st_mode | stat.S_IEXEC)
    monkeypatch.setenv("PATH", f"{scontrol.parent}:{os.environ['PATH']}")
    job = {"JOB_ID": "7", "JOB_NAME": "train", "NTASKS": "1", "NTASKS_PER_NODE": "1"}
    for name, value in {**job, "PROCID": "0", "LOCALID": "0", "NODEID": "0"}.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    previous = signal.getsignal(signal.SIGUSR1)
    with pytest.raises(SystemExit) as exit_:
        main(command(signal.SIGUSR1))
    assert exit_.value.code == 143
    assert (folder / "asked").read_text() == "requeue 7\n"
    assert not list(only_run(folder).path.glob("hpc_ckpt*"))
    main(command(signal.SIGUSR1))
    assert only_run(folder).status["state"] == "finished"
    assert_as_uninterrupted(folder, signalled, command(signal.SIGUSR1))
    signal.signal(signal.SIGUSR1, previous)


def test_two_processes_train_in_one_folder(folder: Path) -> None:
    ddp = [
        "--config=tiny.yaml",
        "--trainer.devices=2",
        "--trainer.strategy=ddp_find_unused_parameters_true",
        "--trainer.enable_progress_bar=true",
    ]
    done = spawn(folder, "fit", *ddp, "--trainer.max_epochs=1")
    assert done.returncode == 0, done.stderr
    run = only_run(folder)
    assert run.status["state"] == "finished"
    assert run.status["step"] == 5
    assert done.stderr.count("Run folder:") == 1
    assert done.stderr.count(" *, epoch 1/1, ") == 1
    assert run.last.exists()
