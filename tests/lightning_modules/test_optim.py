from __future__ import annotations

import math

import pytest
import torch
from lightning.pytorch import LightningModule

from lightning_modules.optim import WarmupCosineLR, advance, descend
from tests.lightning_modules.occluded_fakes import OccludedDataModule


def scheduler() -> torch.optim.lr_scheduler.MultiStepLR:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(()))], lr=1.0)
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, [2, 4], gamma=0.5)
    optimizer.step()
    return scheduler


def test_schedulers_catch_up_with_the_epoch_and_never_run_ahead():
    late, early = scheduler(), scheduler()
    advance([late], 4)
    for epoch in range(5):
        advance([early], epoch)
        advance([early], epoch)
    assert late.get_last_lr() == early.get_last_lr() == [0.25]
    assert late.last_epoch == early.last_epoch == 4


def test_descending_takes_one_step_down_this_loss_alone(trainer):
    class Square(LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.automatic_optimization = False
            self.weight = torch.nn.Parameter(torch.tensor(3.0))

        def training_step(self, batch, batch_idx: int) -> None:
            self.weight.grad = torch.tensor(100.0)  # of an earlier step
            descend(self, self.optimizers(), self.weight**2)

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD([self.weight], lr=0.25)

    module = Square()
    loader = OccludedDataModule().train_dataloader()
    trainer(limit_train_batches=1).fit(module, loader)
    assert module.weight.item() == 3.0 - 0.25 * 6.0


def test_a_warmup_rises_and_falls_and_goes_on_from_a_checkpoint(tmp_path):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.4)
    scheduler = WarmupCosineLR(optimizer, epochs=7, warmup=3)
    rates = []
    for _ in range(7):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    cosine = [0.2 * (1 + math.cos(math.pi * k / 4)) for k in range(4)]
    assert rates == pytest.approx([0.1, 0.2, 0.3, *cosine])
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0, abs=1e-9)
    torch.save(scheduler.state_dict(), tmp_path / "state.pt")
    fresh = WarmupCosineLR(torch.optim.SGD([torch.zeros(1)], lr=0.4), epochs=7, warmup=3)
    fresh.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    assert fresh.last_epoch == 7


def test_a_warmup_that_leaves_nothing_is_named():
    with pytest.raises(ValueError, match="warm-up of 5 epochs or steps does not fit"):
        WarmupCosineLR(torch.optim.SGD([torch.zeros(1)], lr=1.0), epochs=5)
