"""What two processes do together: ``python -m ... WHAT FOLDER`` leaves what each has seen."""

from __future__ import annotations

import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from torch.distributed import distributed_c10d

from lightning_modules.classifier import compute_once
from lightning_modules.emotion_gan import EMotionGAN
from lightning_modules.metrics.classification import ExpressionScores
from lightning_modules.metrics.generation import GenerationQuality
from lightning_modules.metrics.means import SampleMeans, take
from tests.lightning_modules.fakes import FakeDataModule


class OneSided(FakeDataModule):
    """Only the first process ever trains on neutral-apex pairs, and only in the first epoch."""

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        paired = self.trainer.global_rank == 0 and self.trainer.current_epoch == 0
        if self.trainer.training and not paired:
            batch["is_neutral_apex"] = torch.zeros_like(batch["is_neutral_apex"])
        return batch


def distributed(**options: Any) -> Trainer:
    defaults: dict[str, Any] = {
        "accelerator": "cpu",
        "devices": 2,
        "strategy": "ddp_find_unused_parameters_true",
        "use_distributed_sampler": False,
        "max_epochs": 2,
        "num_sanity_val_steps": 0,
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    return Trainer(**{**defaults, **options})


def gan(folder: Path) -> None:
    """Train and test eMotion-GAN."""
    torch.manual_seed(0)
    module = EMotionGAN(
        3, 32, 2, representation="cartesian", image_prior="warp", connection_epoch=1, e_fer_epochs=1
    )
    # Five samples: the first process tests three of them, the second two.
    datamodule = OneSided(length=5, batch_size=2)
    trainer = distributed(limit_train_batches=1)
    trainer.fit(module, datamodule=datamodule)
    seen: dict[str, Any] = {"steps": trainer.global_step, "weights": module.state_dict()}
    g_w = trainer.optimizers[1].state.values()
    seen["image_steps"] = [int(state["step"]) for state in g_w]
    seen["results"] = trainer.test(module, datamodule=datamodule, verbose=False)[0]
    torch.save(seen, folder / f"{trainer.global_rank}.pt")


def slow_fit() -> torch.Tensor:
    time.sleep(6)
    return torch.arange(3.0)


class Uneven(LightningModule):
    """The first process has all samples; the second has none, or one picture."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def test_step(self, batch: Any, batch_idx: int) -> None:
        pass

    def on_test_epoch_end(self) -> None:
        first = self.trainer.global_rank == 0
        seen: dict[str, Any] = {}
        # A fit on one process that takes longer than a collective of the trainer may.
        distributed_c10d._set_pg_timeout(timedelta(seconds=3), None)
        seen["fitted"] = compute_once(slow_fit)
        distributed_c10d._set_pg_timeout(timedelta(minutes=2), None)
        quality = GenerationQuality(3, 100, torch.device("cpu"))
        count = 6 if first else 1
        images = torch.rand(count, 3, 16, 16, generator=torch.Generator().manual_seed(0))
        quality.add_real(images, images.mean(dim=(2, 3)))
        quality.add_generated(images**2, (images**2).mean(dim=(2, 3)))
        seen["generation"] = quality.summarize("net")
        means, scores = SampleMeans(("a", "b", "never")), ExpressionScores(2)
        if first:
            means.update(a=torch.tensor([1.0, 2.0]), b=torch.tensor([3.0]))
            scores.update(torch.tensor([[2.0, 1.0], [0.0, 3.0]]), torch.tensor([0, 1]))
        else:
            means.update(a=torch.tensor([6.0]))
        seen["means"] = take(means)
        seen["scores"] = scores.summarize(("x", "y"))
        torch.save(seen, self.folder / f"{self.trainer.global_rank}.pt")


def uneven(folder: Path) -> None:
    """Measure on processes of which one has hardly a sample."""
    trainer = distributed(strategy="ddp")
    trainer.test(Uneven(folder), FakeDataModule(4, 2).val_dataloader(), verbose=False)


if __name__ == "__main__":
    {"gan": gan, "uneven": uneven}[sys.argv[1]](Path(sys.argv[2]))
