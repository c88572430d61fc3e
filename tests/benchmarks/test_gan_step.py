from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import torch

from benchmarks import training
from benchmarks.bare import BareGAN
from datamodules.synthetic.rafdb import write_rafdb
from lightning_modules.dcgan_svm import DCGANSVM


def test_step_time_takes_turns(tmp_path: Path) -> None:
    write_rafdb(tmp_path / "tree", train=42, test=14)
    small = [
        *(f"--data.root={tmp_path / 'tree'}", f"--data.cache_dir={tmp_path / 'cache'}"),
        *("--data.batch_size=8", "--model.size=16", "--model.width=2", "--wandb=disabled"),
    ]
    experiment = training.EXPERIMENTS["DCGAN"]
    result = training.measure_step("DCGAN", quick=True, experiment=[*experiment, *small])
    json.dumps(result, allow_nan=False)
    assert result["ratio"] > 0
    details = result["details"]
    assert len(details["fit_ms"]) == len(details["bare_ms"]) == 2
    assert all(ms > 0 for ms in [*details["fit_ms"], *details["bare_ms"]])


def test_the_bare_loop_moves_as_the_module_does() -> None:
    """Otherwise it would be measured against other work."""
    torch.manual_seed(0)
    module = DCGANSVM(size=16, width=2, latent=4)
    image = torch.rand(6, 3, 16, 16)
    loop = BareGAN(module)
    torch.manual_seed(1)
    loop.step({"image": image})
    optimizers = module.configure_optimizers()
    module.optimizers = lambda: optimizers  # type: ignore[method-assign]
    module.manual_backward = lambda loss: loss.backward()  # type: ignore[method-assign]
    module.log_dict = lambda values: None  # type: ignore[method-assign]
    module.toggle_optimizer = module.untoggle_optimizer = lambda *_: None  # type: ignore
    module._trainer = SimpleNamespace(current_epoch=0)  # type: ignore[assignment]
    torch.manual_seed(1)
    module.training_step({"image": image}, 0)  # type: ignore[typeddict-item]
    for player in ("generator", "discriminator"):
        one = getattr(loop, f"_{player}").state_dict()
        other = getattr(module, player).state_dict()
        for name, value in other.items():
            torch.testing.assert_close(one[name], value)
