"""What the benchmarks of training share: the `lightning fit` they look into, and its batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from tempfile import TemporaryDirectory
from typing import Any

import lightning.pytorch as pl
import torch

from experiments.cli import main

LAPTOP = (
    "--config=experiments/emotion_gan.yaml",
    "--config=experiments/presets/laptop.yaml",
    "--model.e_fer_epochs=1",  # before the steps that are measured
)
"""The experiment that is measured: eMotion-GAN with the laptop preset."""


def fit(steps: int, *arguments: str, experiment: Sequence[str] = LAPTOP) -> None:
    """Run the real command for some steps of the first epoch, in a run folder that is thrown away.

    Args:
        steps: Training steps.
        *arguments: Further arguments of the command.
        experiment: The experiment's own arguments.
    """
    with TemporaryDirectory() as runs:
        main(
            [
                "fit",
                *experiment,
                f"--runs_dir={runs}",
                f"--trainer.max_steps={steps}",
                "--trainer.limit_val_batches=0",
                "--trainer.num_sanity_val_steps=0",
                *arguments,
            ]
        )


def endless(data: pl.LightningDataModule, device: torch.device) -> Iterator[Any]:
    """Read training batches for ever, as a bare loop would.

    Args:
        data: A data module that was set up.
        device: Where batches are taken to.

    Yields:
        Batches as a training step gets them.
    """
    while True:
        for stored in data.train_dataloader():
            moved = {
                key: value.to(device) if isinstance(value, torch.Tensor) else value
                for key, value in stored.items()
            }
            yield data.on_after_batch_transfer(moved, 0)
