"""`--launcher slurm` on a real SLURM, on this machine: `make test-slurm`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.experiments.transfer.tiny_transfer import write_files
from tests.slurm.cluster import Cluster, missing
from tests.slurm.jobs import STUDY, wait, waited, write_experiment

pytestmark = [
    pytest.mark.slurm,
    pytest.mark.timeout(1800),  # a job may take a minute to import PyTorch on a busy machine
    pytest.mark.skipif(bool(missing()), reason=f"{', '.join(missing())} are not here"),
]
IN_SLURM = ("--launcher", "slurm", "--slurm.time", "10")


def start(cluster: dict[str, str], folder: Path, *args: str) -> subprocess.Popen[str]:
    """Start `lightning` as on a login node."""
    return subprocess.Popen(
        [sys.executable, "-m", "experiments", *args],
        cwd=folder,
        env=cluster,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def lightning(cluster: dict[str, str], folder: Path, *args: str) -> tuple[int, str]:
    process = start(cluster, folder, *args)
    said, _ = process.communicate(timeout=900)
    return process.returncode, said


def summary(folder: Path) -> dict[str, Any]:
    (path,) = folder.glob("runs/tiny/crossval-*/summary.json")
    return json.loads(path.read_text())


def jobs_of(folder: Path, fold: int | str = "*") -> list[str]:
    """List the starts of jobs, as the logs of the steps tell of them."""
    number = f"{fold:02d}" if isinstance(fold, int) else fold
    logs = sorted(folder.glob(f"runs/tiny/crossval-*/fold_{number}/log.txt"))
    return [line for log in logs for line in log.read_text().splitlines() if line[:4] == "--- "]


def test_a_cross_validation_has_the_numbers_of_a_local_one(
    cluster: dict[str, str], tmp_path: Path
) -> None:
    here, there = tmp_path / "here", tmp_path / "there 100 %"
    for folder in (here, there):
        folder.mkdir()
        write_experiment(folder, epochs=2)
    code, said = lightning(cluster, there, "crossval", "--config=tiny.yaml", *IN_SLURM)
    assert code == 0, said
    assert lightning(cluster, here, "crossval", "--config=tiny.yaml")[0] == 0
    assert summary(there) == summary(here)
    assert len(jobs_of(there)) == 6
    assert {line.rpartition(" ")[2] for line in jobs_of(there)} <= {"n1", "n2"}


def test_a_study_of_four_cells_goes_on_by_itself(cluster: dict[str, str], tmp_path: Path) -> None:
    write_experiment(tmp_path, epochs=2)
    (tmp_path / "rates.yaml").write_text(STUDY)
    line = ("study", "rates.yaml", "--seeds=2", "--fold=0", "--jobs=3", *IN_SLURM, "--detach")
    code, said = lightning(cluster, tmp_path, *line)
    assert code == 0, said
    (number,) = [line.split()[1] for line in said.splitlines() if line.startswith("Job ")]
    wait(cluster, number, "COMPLETED")
    (path,) = tmp_path.glob("runs/studies/rates/study.json")
    found = json.loads(path.read_text())
    assert [row["missing"] for row in found["rows"]] == [[], []]
    assert len(jobs_of(tmp_path)) == 2 * 2 * 2


def test_a_transfer_has_the_cells_of_a_local_one(cluster: dict[str, str], tmp_path: Path) -> None:
    line = ("transfer", "--config=tiny.yaml", "--data_configs", "faces.yaml", "other.yaml")
    line += ("--pretrain=faces",)
    here, there = tmp_path / "here", tmp_path / "there"
    for folder, launcher in ((here, ()), (there, IN_SLURM)):
        folder.mkdir()
        write_files(folder)
        code, said = lightning(cluster, folder, *line, *launcher)
        assert code == 0, said
    assert cells(there) == cells(here)
    logs = [path.read_text() for path in there.glob("runs/tiny/transfer-*/*/*/log.txt")]
    starts = [line for log in logs for line in log.splitlines() if line.startswith("--- ")]
    assert len(starts) == 3  # features of one, a classifier on the other, and its test
    assert all(", job " in line for line in starts)


def cells(folder: Path) -> list[dict[str, Any]]:
    (path,) = folder.glob("runs/tiny/transfer-*/transfer.json")
    found: list[dict[str, Any]] = json.loads(path.read_text())["cells"]
    return found


def test_a_launcher_that_was_killed_takes_up_its_jobs(
    cluster: dict[str, str], tmp_path: Path
) -> None:
    write_experiment(tmp_path, epochs=2)
    line = ("crossval", "--config=tiny.yaml", "--fold=1", *IN_SLURM)
    first = start(cluster, tmp_path, *line, "--slurm.hold")
    (job,) = waited(lambda: queued(cluster))
    first.kill()
    first.communicate()
    second = start(cluster, tmp_path, *line)
    assert second.stdout is not None
    while "fold 1: training, by the job of an earlier command" not in second.stdout.readline():
        assert second.poll() is None
    subprocess.run(["scontrol", "release", job], env=cluster, check=True)
    said, _ = second.communicate(timeout=900)
    assert second.returncode == 0, said
    fit, test = jobs_of(tmp_path)
    assert f"fit, job {job} on" in fit
    assert "test, job " in test


def queued(cluster: dict[str, str]) -> list[str]:
    """List the numbers of the jobs that wait."""
    told = ["squeue", "-h", "-t", "PENDING", "-o", "%A"]
    return subprocess.run(told, env=cluster, capture_output=True, text=True).stdout.split()


def test_a_fold_on_two_nodes(cluster: dict[str, str], tmp_path: Path) -> None:
    write_experiment(tmp_path, epochs=2)
    # Lightning meets at the first node by its name, which no name server knows here.
    address = "--slurm.export=ALL,MASTER_ADDR=127.0.0.1"
    nodes = ("--slurm.nodes=2", "--slurm.ntasks_per_node=1", "--trainer.num_nodes=2", address)
    strategy = "--trainer.strategy=ddp"
    line = ("crossval", "--config=tiny.yaml", "--fold=0", *IN_SLURM, *nodes, strategy)
    code, said = lightning(cluster, tmp_path, *line)
    assert code == 0, said
    assert [line.rpartition(" ")[2] for line in jobs_of(tmp_path)] == ["n[1-2]", "n[1-2]"]
    (record,) = tmp_path.glob("runs/tiny/crossval-*/fold_00/fold.json")
    assert json.loads(record.read_text())["n_test"] == 12


def test_a_node_that_dies_takes_its_fold_along_and_no_other(slurm: Cluster, tmp_path: Path) -> None:
    cluster = slurm.environment
    write_experiment(tmp_path, epochs=2)
    # One fold a node; its jobs are not sent back to the queue.
    line = ("crossval", "--config=tiny.yaml", *IN_SLURM, "--slurm.exclusive", "--slurm.no_requeue")
    first = start(cluster, tmp_path, *line)
    waited(lambda: jobs_of(tmp_path, fold=1) or first.poll() is not None)
    job, _, node = jobs_of(tmp_path, fold=1)[0].split()[-3:]
    kill_node(slurm, node, job)
    said, _ = first.communicate(timeout=900)
    slurm.start_node(node)
    assert first.returncode == 1, said
    assert said.count(": failed: ") == 1
    assert f"fold 1: failed: job {job} ended as NODE_FAIL" in said
    code, said = lightning(cluster, tmp_path, *line)
    assert code == 0, said
    assert "fold 0" not in said
    assert summary(tmp_path)["done"] == [0, 1, 2]


def kill_node(slurm: Cluster, name: str, job: str) -> None:
    """Kill the daemon of a node and all that a job runs on it, as a power cut does."""
    slurm.nodes[name].kill()
    slurm.nodes[name].wait()
    for path in Path("/proc").glob("[0-9]*"):
        try:
            environment = (path / "environ").read_bytes().split(b"\0")
            command = (path / "cmdline").read_bytes().decode()
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        if f"SLURM_JOB_ID={job}".encode() in environment or f"slurmstepd: [{job}." in command:
            os.kill(int(path.name), signal.SIGKILL)
