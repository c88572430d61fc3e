"""Cross-validations as jobs of a real SLURM, on this machine: `make test-slurm`."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.experiments.crossval.test_command import EXPERIMENT
from tests.slurm.cluster import missing, running_cluster

pytestmark = [
    pytest.mark.slurm,
    pytest.mark.skipif(bool(missing()), reason=f"{', '.join(missing())} are not here"),
]

ROOT = Path(__file__).resolve().parents[2]
LIGHTNING = f"{sys.executable} -m experiments"
_PATIENCE = 240.0


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with running_cluster(tmp_path_factory.mktemp("slurm")) as environment:
        yield {
            **environment,
            "PYTHONPATH": str(ROOT),
            "WANDB_MODE": "disabled",
            "OMP_NUM_THREADS": "1",
        }


def submit(cluster: dict[str, str], folder: Path, command: str, *options: str) -> str:
    """Submit a job; return its number."""
    (folder / "job.sh").write_text(f"#!/bin/bash\n{command}\n")
    given = ["--parsable", "--open-mode=append", "-D", str(folder), "-o", "%A_%a.out", *options]
    told = subprocess.run(
        ["sbatch", *given, "job.sh"], cwd=folder, env=cluster, capture_output=True, text=True
    )
    assert told.returncode == 0, told.stderr
    return told.stdout.strip()


def about(cluster: dict[str, str], job: str) -> dict[str, str]:
    told = subprocess.run(
        ["scontrol", "show", "job", "-o", job], env=cluster, capture_output=True, text=True
    )
    return dict(word.split("=", 1) for word in told.stdout.split() if "=" in word)


def wait(cluster: dict[str, str], job: str, *states: str) -> dict[str, str]:
    """Wait until a job, or every job of an array, is in one of some states."""
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        told = subprocess.run(
            ["squeue", "-h", "-t", "all", "-r", "-o", "%T", "-j", job],
            env=cluster,
            capture_output=True,
            text=True,
        )
        if told.stdout.split() and set(told.stdout.split()) <= set(states):
            return about(cluster, job)
        time.sleep(0.5)
    raise AssertionError(f"job {job} is {told.stdout.split()} after {_PATIENCE:.0f} s")


def waited(look: Callable[[], Any]) -> Any:
    """Wait for something that is true."""
    deadline = time.monotonic() + _PATIENCE
    while not (found := look()) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert found
    return found


def output(folder: Path) -> str:
    return "\n".join(path.read_text() for path in sorted(folder.glob("*.out")))


def write_experiment(folder: Path, epochs: int) -> None:
    (folder / "tiny.yaml").write_text(EXPERIMENT.replace("max_epochs: 2", f"max_epochs: {epochs}"))


def test_an_array_of_folds_and_their_summary(cluster: dict[str, str], tmp_path: Path) -> None:
    write_experiment(tmp_path, epochs=2)
    crossval = f"{LIGHTNING} crossval --config=tiny.yaml"
    folds = submit(cluster, tmp_path, f"{crossval} --fold $SLURM_ARRAY_TASK_ID", "--array=0-2")
    after = f"--dependency=afterok:{folds}"
    summary = submit(cluster, tmp_path, f"{crossval} --summarize", after)
    wait(cluster, folds, "COMPLETED")
    wait(cluster, summary, "COMPLETED")
    (path,) = tmp_path.glob("runs/tiny/crossval-*/summary.json")
    assert json.loads(path.read_text())["done"] == [0, 1, 2]


def test_the_warning_sends_a_cross_validation_back(cluster: dict[str, str], tmp_path: Path) -> None:
    write_experiment(tmp_path, epochs=3000)
    command = f"srun -n1 {LIGHTNING} crossval --config=tiny.yaml --fold 0"
    job = submit(cluster, tmp_path, command, "--requeue")
    (run,) = waited(
        lambda: list(tmp_path.glob("runs/tiny/crossval-*/fold_00/checkpoints/last.ckpt"))
    )
    subprocess.run(["scancel", "--signal=USR1", job], env=cluster, check=True)
    waited(lambda: about(cluster, job).get("Restarts") == "1")
    assert f"SLURM ends job {job}: it goes back to the queue. 0 of 3 folds are done." in output(
        tmp_path
    )
    # SLURM holds a job back for a while before it starts again.
    subprocess.run(["scontrol", "release", job], env=cluster, capture_output=True)
    subprocess.run(
        ["scontrol", "update", f"JobId={job}", "StartTime=now"], env=cluster, capture_output=True
    )
    wait(cluster, job, "COMPLETED")
    assert "fold 0: training, from its last checkpoint" in output(tmp_path)
    assert (run.parents[1] / "fold.json").is_file()


def test_tasks_that_do_not_fit_are_refused(cluster: dict[str, str], tmp_path: Path) -> None:
    write_experiment(tmp_path, epochs=2)
    command = (
        f"srun -n2 {LIGHTNING} crossval --config=tiny.yaml; {LIGHTNING} fit --config=tiny.yaml"
    )
    job = submit(cluster, tmp_path, command, "-n2")
    wait(cluster, job, "FAILED")
    said = output(tmp_path)
    assert said.count("srun starts 2 tasks of lightning crossval") == 2
    assert "This job has 2 tasks, but lightning fit was started once, without srun" in said
    assert not (tmp_path / "runs").exists()
