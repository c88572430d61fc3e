"""Random numbers that a resumed run draws as the uninterrupted one would have."""

from __future__ import annotations

import random
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch


class StepSeed(pl.Callback):
    """Seeds every generator before each training step from (seed, rank, epoch, batch).

    A checkpoint then needs to hold no generator's state, on any number of devices, and training
    that goes on after a kill draws the same dropout masks and noise. What is drawn before the step,
    in the order of the samples or in their augmentation, must be a pure function of the same
    numbers by itself.

    Args:
        seed: Seed of the run.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Seed torch on all devices, NumPy and Python."""
        key = (self.seed, trainer.global_rank, trainer.current_epoch, batch_idx)
        words = np.random.SeedSequence(key).generate_state(3, np.uint32)
        seed = int(words[0])
        if pl_module.device.type == "cpu":
            # torch.manual_seed would also write down, with a stack trace, that GPUs are to be
            # seeded once there are any: that takes half a millisecond.
            torch.default_generator.manual_seed(seed)
        else:
            torch.manual_seed(seed)
        np.random.seed(words[1])  # noqa: NPY002 - libraries draw from the global generator
        random.seed(int(words[2]))
