from __future__ import annotations

import shutil
import warnings

import pytest
from lightning.fabric.plugins.environments import SLURMEnvironment

from experiments.command.console import quiet


def test_nothing_is_said_of_an_srun_that_is_not_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.delenv("SLURM_NTASKS", raising=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with quiet():
            SLURMEnvironment.detect()
        with pytest.raises(UserWarning, match="srun"):
            SLURMEnvironment.detect()
