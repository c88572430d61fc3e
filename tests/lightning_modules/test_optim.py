from __future__ import annotations

import torch
from lightning.pytorch import LightningModule

from lightning_modules.optim import advance, descend
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
