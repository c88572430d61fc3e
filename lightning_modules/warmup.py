"""A learning rate that rises over the first epochs and falls as half a cosine afterwards."""

from __future__ import annotations

import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from datamodules.errors import UserError


class WarmupCosineLR(LambdaLR):
    """Linear warm-up, then cosine annealing to zero, stepped once an epoch.

    Args:
        optimizer: Whose learning rates are multiplied.
        epochs: Epochs of the whole training.
        warmup: Of these, epochs of the rise; the first has the share 1 / (warmup + 1).

    Raises:
        UserError: If the warm-up leaves no epoch.

    Reference:
        Loshchilov and Hutter (ICLR 2017), equation (5), without restarts.
    """

    def __init__(self, optimizer: Optimizer, epochs: int, warmup: int = 5) -> None:
        if not 0 <= warmup < epochs:
            raise UserError(
                f"A warm-up of {warmup} epochs does not fit a training of {epochs}: give fewer."
            )

        def share(epoch: int) -> float:
            if epoch < warmup:
                return (epoch + 1) / (warmup + 1)
            done = min(1.0, (epoch - warmup) / (epochs - warmup))
            return 0.5 * (1 + math.cos(math.pi * done))

        super().__init__(optimizer, share)
