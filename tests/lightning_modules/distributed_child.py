"""Trains and tests eMotion-GAN in two processes: ``python -m ... FOLDER`` leaves what they saw."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Trainer

from lightning_modules.emotion_gan import EMotionGAN
from tests.lightning_modules.fakes import FakeDataModule


class OneSided(FakeDataModule):
    """Only the first process ever trains on neutral-apex pairs."""

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        if self.trainer.training and self.trainer.global_rank > 0:
            batch["is_neutral_apex"] = torch.zeros_like(batch["is_neutral_apex"])
        return batch


def main(folder: Path) -> None:
    torch.manual_seed(0)
    module = EMotionGAN(
        3, 32, 2, representation="cartesian", image_prior="warp", connection_epoch=1, e_fer_epochs=1
    )
    # Five samples: the first process tests three of them, the second two.
    datamodule = OneSided(length=5, batch_size=2)
    trainer = Trainer(
        accelerator="cpu",
        devices=2,
        strategy="ddp_find_unused_parameters_true",
        use_distributed_sampler=False,
        max_epochs=2,
        limit_train_batches=1,
        num_sanity_val_steps=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(module, datamodule=datamodule)
    steps = trainer.global_step
    results = trainer.test(module, datamodule=datamodule, verbose=False)[0]
    seen = {"steps": steps, "weights": module.state_dict(), "results": results}
    torch.save(seen, folder / f"{trainer.global_rank}.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
