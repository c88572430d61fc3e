from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.lightning_modules.fakes import FakeDataModule


def test_two_processes_end_at_the_same_weights_and_count_each_sample_once(
    model, trainer, tmp_path, repository: Path
):
    child = subprocess.run(
        [sys.executable, "-m", "tests.lightning_modules.distributed_child", str(tmp_path)],
        cwd=repository,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert child.returncode == 0, child.stderr
    first, second = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2))
    assert first["steps"] == second["steps"] == 2
    assert first["weights"]["e_fer.fitted"]
    for name, tensor in first["weights"].items():
        if "running" not in name:  # each process keeps the statistics of its own batches
            assert torch.equal(tensor, second["weights"][name]), name

    assert first["results"] == second["results"]
    module = model(representation="cartesian", image_prior="warp")
    module.load_state_dict(first["weights"])
    alone = trainer().test(module, datamodule=FakeDataModule(5, 2), verbose=False)[0]
    assert set(alone) == set(first["results"])
    for row in ("posed", "registration", "frontal", "neutral"):
        assert first["results"][f"test/{row}_epe_px"] == pytest.approx(
            alone[f"test/{row}_epe_px"], rel=1e-5
        )
    for name in ("test/emotion_gan_epe_px", "test/emotion_gan_ssim", "test/neutral_ssim"):
        assert first["results"][name] == pytest.approx(alone[name], rel=1e-4), name
