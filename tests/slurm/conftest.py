from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.slurm.cluster import Cluster, running_cluster
from tests.slurm.jobs import ROOT


@pytest.fixture(scope="session")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A SLURM of two nodes."""
    with running_cluster(tmp_path_factory.mktemp("slurm")) as cluster:
        told = {"PYTHONPATH": str(ROOT), "WANDB_MODE": "disabled", "OMP_NUM_THREADS": "1"}
        cluster.environment.update(told)
        yield cluster


@pytest.fixture
def cluster(slurm: Cluster) -> dict[str, str]:
    """The environment in which sbatch and its kin find it."""
    return slurm.environment
