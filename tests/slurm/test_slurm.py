"""Cross-validations as jobs of a real SLURM, on this machine: `make test-slurm`."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.slurm.cluster import missing
from tests.slurm.jobs import (
    LIGHTNING,
    ROOT,
    STUDY,
    about,
    output,
    sbatch,
    submit,
    wait,
    waited,
    write_experiment,
)

SCRIPTS = ROOT / "experiments" / "slurm"
pytestmark = [
    pytest.mark.slurm,
    pytest.mark.timeout(1800),  # a job may take a minute to import PyTorch on a busy machine
    pytest.mark.skipif(bool(missing()), reason=f"{', '.join(missing())} are not here"),
]


@pytest.fixture
def installed(cluster: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """The environment of a person on whose path `lightning` is."""
    program = tmp_path / "bin" / "lightning"
    program.parent.mkdir()
    program.write_text(f'#!/bin/bash\nexec {LIGHTNING} "$@"\n')
    program.chmod(0o755)
    return {**cluster, "PATH": f"{program.parent}:{cluster['PATH']}"}


def test_an_array_of_ten_folds_and_their_summary(installed: dict[str, str], tmp_path: Path) -> None:
    write_experiment(tmp_path, epochs=2)
    script = [str(SCRIPTS / "crossval.sbatch"), "--config=tiny.yaml"]
    script += ["--data.folds=10", "--data.subjects=10"]
    small = ("--cpus-per-task=1",)
    folds = sbatch(installed, tmp_path, "--array=0-9", *small, *script)
    summary = sbatch(installed, tmp_path, f"--dependency=afterany:{folds}", *small, *script)
    wait(installed, folds, "COMPLETED")
    wait(installed, summary, "COMPLETED")
    (path,) = tmp_path.glob("runs/tiny/crossval-*/summary.json")
    assert json.loads(path.read_text())["done"] == list(range(10))


def test_scripts_of_a_training_and_of_a_study(installed: dict[str, str], tmp_path: Path) -> None:
    write_experiment(tmp_path, epochs=2)
    (tmp_path / "rates.yaml").write_text(STUDY)
    small = ("--cpus-per-task=1", "--gpus-per-node=0")
    fit = sbatch(installed, tmp_path, *small, str(SCRIPTS / "fit.sbatch"), "--config=tiny.yaml")
    line = (str(SCRIPTS / "study.sbatch"), "rates.yaml", "--fold", "0")
    study = sbatch(installed, tmp_path, *small, *line)
    wait(installed, fit, "COMPLETED")
    wait(installed, study, "COMPLETED")
    assert len(list(tmp_path.glob("runs/tiny/2*/checkpoints/last.ckpt"))) == 1
    assert json.loads((tmp_path / "runs/studies/rates/study.json").read_text())["rows"]
    assert "--devices auto: no GPU is visible here" in output(tmp_path)


def test_the_warning_sends_a_cross_validation_back(cluster: dict[str, str], tmp_path: Path) -> None:
    write_experiment(tmp_path, epochs=600)
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
    # SLURM holds a job back for two minutes before it starts again, from when it has left its node.
    wait(cluster, job, "PENDING")
    subprocess.run(["scontrol", "release", job], env=cluster, capture_output=True)
    subprocess.run(
        ["scontrol", "update", f"JobId={job}", "StartTime=now"], env=cluster, capture_output=True
    )
    wait(cluster, job, "COMPLETED")
    assert "fold 0: training, from its last checkpoint" in output(tmp_path)
    assert (run.parents[1] / "fold.json").is_file()


def test_tasks_that_do_not_fit_are_refused(cluster: dict[str, str], tmp_path: Path) -> None:
    write_experiment(tmp_path, epochs=2)
    commands = (
        f"srun -n2 {LIGHTNING} crossval --config=tiny.yaml",
        f"srun -n2 {LIGHTNING} fit --config=tiny.yaml",
        f"{LIGHTNING} fit --config=tiny.yaml",
    )
    job = submit(cluster, tmp_path, "\n".join(commands), "-n2")
    wait(cluster, job, "FAILED")
    said = output(tmp_path)
    assert said.count("srun starts 2 tasks of lightning crossval") == 2
    assert said.count("SLURM starts lightning fit as 2 tasks, but trainer.devices 1") == 2
    assert "This job has 2 tasks, but lightning fit was started once, without srun" in said
    assert not (tmp_path / "runs").exists()
