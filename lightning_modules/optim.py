"""What methods with several optimizers share: one counted player, one step, one schedule."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from lightning.pytorch import LightningModule
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor


def uncount(optimizers: Iterable[LightningOptimizer]) -> None:
    """Keep optimizers out of ``trainer.global_step``, so that it counts the steps of one player.

    Otherwise it counts every optimizer's, and ``max_steps`` and log intervals mean something else.

    Args:
        optimizers: Those not to be counted. To be called in every ``training_step``: Lightning
            sets anew what is changed here.
    """
    for optimizer in optimizers:
        optimizer._on_before_step = optimizer._on_after_step = _nothing


def descend(module: LightningModule, optimizer: LightningOptimizer, loss: Tensor) -> None:
    """Make one step down a loss.

    Args:
        module: The method, whose precision and strategy do the backward pass.
        optimizer: Of the player that moves.
        loss: Its loss, a scalar.
    """
    optimizer.zero_grad()
    module.manual_backward(loss)
    optimizer.step()


def advance(schedulers: Iterable[Any], epoch: int) -> None:
    """Bring schedulers that step once an epoch to an epoch, at its start.

    Counting up to the epoch, not once an epoch: a run resumed from a checkpoint that was written
    before or after the end of an epoch arrives at the same learning rates.

    Args:
        schedulers: Schedulers of optimizers that have stepped.
        epoch: The epoch that starts, from 0.
    """
    for scheduler in schedulers:
        while scheduler.last_epoch < epoch:
            scheduler.step()


def _nothing() -> None:
    """Stand where Lightning would count an optimizer's step."""
