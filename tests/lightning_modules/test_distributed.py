from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.lightning_modules.fakes import FakeDataModule


def run(what: str, folder: Path, repository: Path) -> list[dict[str, Any]]:
    """Run what two processes do, and return what each has seen."""
    child = subprocess.run(
        [sys.executable, "-m", "tests.lightning_modules.distributed_child", what, str(folder)],
        cwd=repository,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert child.returncode == 0, child.stderr
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]


def test_two_processes_end_at_the_same_weights_and_count_each_sample_once(
    model, trainer, tmp_path, repository: Path
):
    first, second = run("gan", tmp_path, repository)
    assert first["steps"] == second["steps"] == 2
    assert set(first["image_steps"]) == set(second["image_steps"]) == {1}
    for frozen in ("e_fer", "judges.flow", "judges.image"):
        assert first["weights"][f"{frozen}.fitted"]
    for name, tensor in first["weights"].items():
        if "running" not in name:  # each process keeps the statistics of its own batches
            assert torch.equal(tensor, second["weights"][name]), name

    assert first["results"] == second["results"]
    module = model(representation="cartesian", image_prior="warp")
    module.load_state_dict(first["weights"])
    alone = trainer().test(module, datamodule=FakeDataModule(5, 2), verbose=False)[0]
    assert set(alone) == set(first["results"])
    for row in ("posed", "registration", "features", "frontal", "zero", "fit"):
        assert first["results"][f"test/{row}_epe_px"] == pytest.approx(
            alone[f"test/{row}_epe_px"], rel=1e-5
        )
    for name in ("test/emotion_gan_epe_px", "test/emotion_gan_ssim", "test/neutral_ssim"):
        assert first["results"][name] == pytest.approx(alone[name], rel=1e-4), name


def test_a_process_with_hardly_a_sample_takes_part_and_a_long_fit_is_waited_for(
    tmp_path, repository: Path
):
    first, second = run("uneven", tmp_path, repository)
    assert first["fitted"].tolist() == second["fitted"].tolist() == [0, 1, 2]
    assert first["generation"] == second["generation"]
    assert set(first["generation"]) == {"fid_net", "diversity", "ssim_generated", "ssim_real"}
    assert first["means"] == second["means"]
    assert first["means"] == {"a": torch.tensor(3.0), "b": torch.tensor(3.0)}
    assert first["scores"] == second["scores"]
    assert first["scores"]["auc"] == first["scores"]["accuracy"] == 1
