"""`lightning sweep` on a real SLURM, on this machine: `make test-slurm`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.experiments.sweep.test_sweep_file import write
from tests.experiments.sweep.test_worker import EXPERIMENT
from tests.slurm.cluster import missing

pytestmark = [
    pytest.mark.slurm,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(bool(missing()), reason=f"{', '.join(missing())} are not here"),
]


def test_workers_on_two_nodes_share_a_search(cluster: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(EXPERIMENT)
    write(tmp_path, parameters={"model.lr": {"min": 0.01, "max": 0.5}})
    command = [sys.executable, "-m", "experiments", "sweep", "search.yaml", "--trials=3"]
    place = ["--fold", "0", "--workers=2", "--launcher", "slurm", "--slurm.time", "10"]
    done = subprocess.run(
        [*command, *place], cwd=tmp_path, env=cluster, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (found,) = tmp_path.glob("runs/sweeps/*/sweep.json")
    trials = json.loads(found.read_text())["trials"]
    assert [trial["state"] for trial in trials] == ["done"] * 3
    logs = [path.read_text() for path in tmp_path.glob("runs/sweeps/*/workers/*/log.txt")]
    starts = [line for log in logs for line in log.splitlines() if line.startswith("--- ")]
    assert len(starts) >= 2
    assert {line.rpartition(" ")[2] for line in starts} <= {"n1", "n2"}
