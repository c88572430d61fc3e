"""Manual optimisation of several networks, and the optimizers and schedules of the papers.

The classes take plain numbers, because a default such as ``betas=(0.5, 0.999)`` or
``milestones=[60, 80]`` inside a function could not be saved in a run's config.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from lightning.pytorch import LightningModule
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor, nn
from torch.optim import Adam, Optimizer
from torch.optim.lr_scheduler import LambdaLR, MultiStepLR
from torch.optim.optimizer import ParamsT

from datamodules.errors import UserError


def uncount(optimizers: Iterable[LightningOptimizer]) -> None:
    """Keep optimizers out of ``trainer.global_step``, so that it counts the steps of one network.

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
        optimizer: Of the network that moves.
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


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Use the running statistics of a network, and leave them as they are.

    Args:
        network: The network; its mode is what it was afterwards.
    """
    training = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(training)


class DCGANAdam(Adam):
    """Adam with the first moment of DCGAN.

    Args:
        params: The parameters.
        lr: Learning rate.
        beta1: Share of the running mean of gradients that a step keeps.
        beta2: The same of squared gradients.

    Reference:
        Radford et al., DCGAN (arXiv 1511.06434), 4.
    """

    def __init__(
        self, params: ParamsT, lr: float = 2e-4, beta1: float = 0.5, beta2: float = 0.999
    ) -> None:
        super().__init__(params, lr, (beta1, beta2))


class TwoStepLR(MultiStepLR):
    """A learning rate that is multiplied at two epochs.

    Args:
        optimizer: Whose learning rates are multiplied.
        first: Epoch, from 0, from which on they are multiplied once.
        second: Epoch from which on they are multiplied twice.
        gamma: By what.
    """

    def __init__(self, optimizer: Optimizer, first: int, second: int, gamma: float) -> None:
        super().__init__(optimizer, (first, second), gamma)


class WarmupCosineLR(LambdaLR):
    """Linear warm-up, then cosine annealing to zero, counted in epochs or in steps.

    Args:
        optimizer: Whose learning rates are multiplied.
        epochs: Epochs, or steps, of the whole training.
        warmup: Of these, those of the rise; the first has the share 1 / (warmup + 1).

    Raises:
        UserError: If the warm-up leaves no epoch.

    Reference:
        Loshchilov and Hutter (ICLR 2017), equation (5), without restarts.
    """

    def __init__(self, optimizer: Optimizer, epochs: int, warmup: int = 5) -> None:
        if not 0 <= warmup < epochs:
            raise UserError(
                f"A warm-up of {warmup} epochs or steps does not fit a training of {epochs}: give "
                "fewer."
            )

        def share(epoch: int) -> float:
            if epoch < warmup:
                return (epoch + 1) / (warmup + 1)
            done = min(1.0, (epoch - warmup) / (epochs - warmup))
            return 0.5 * (1 + math.cos(math.pi * done))

        super().__init__(optimizer, share)


def _nothing() -> None:
    """Stand where Lightning would count an optimizer's step."""
