"""Step time of `lightning fit` of a DCGAN against a bare PyTorch loop over the same networks."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import lightning.pytorch as pl
import torch
from torch import Tensor

from benchmarks import step_time
from benchmarks.report import Clock, Result, Seconds
from benchmarks.training import endless
from lightning_modules.networks.dcgan import keeping_statistics
from losses.adversarial import discriminator_loss, generator_loss

LAPTOP = (
    "--config=experiments/dcgan_svm.yaml",
    "--config=experiments/presets/dcgan_laptop.yaml",
)
"""The experiment that is measured: DCGAN + SVM with its laptop preset."""


def measure(*, quick: bool = False, experiment: Sequence[str] = LAPTOP) -> Result:
    """Take turns between blocks of steps of `fit` and blocks of steps of a bare loop.

    Args:
        quick: Whether to run only a few steps.
        experiment: Arguments of the experiment.

    Returns:
        The ratio of the two, the median over the turns, and both times a step.
    """
    result = step_time.measure(quick=quick, experiment=experiment, method=GANTurns)
    return {**result, "what": "step of fit of a DCGAN / step of a bare PyTorch loop"}


class GANTurns(step_time.TakingTurns):
    """Times blocks of training steps of a DCGAN and, between them, blocks of the bare loop."""

    steps: ClassVar[int] = 1
    fitted: ClassVar[list[Seconds]] = []
    bare: ClassVar[list[Seconds]] = []

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Prepare the bare loop."""
        self.fitted.clear()
        self.bare.clear()
        self._loop: Any = BareGAN(pl_module, trainer.datamodule)  # type: ignore[attr-defined]
        self._warm = False
        self._clock = Clock()


class BareGAN:
    """The training step of a DCGAN as one would write it without Lightning.

    Args:
        module: The model, whose networks are copied.
        data: Where the batches come from.
    """

    def __init__(self, module: Any, data: Any) -> None:
        self._device, self._latent = module.device, module.latent
        self._channels = module.channels
        self._generator = copy.deepcopy(module.generator).train()
        self._discriminator = copy.deepcopy(module.discriminator).train()
        build_d, build_g = module.optimizer_callables
        self._d_optimizer = build_d(self._discriminator.parameters())
        self._g_optimizer = build_g(self._generator.parameters())
        self._batches: Iterator[dict[str, Tensor]] = endless(data, module.device)

    def run(self, steps: int) -> None:
        """Train for some steps.

        Args:
            steps: Their number.
        """
        for _ in range(steps):
            self._step(next(self._batches)["image"])

    def _step(self, image: Tensor) -> None:
        real = 2 * (image if self._channels == 3 else image.mean(dim=1, keepdim=True)) - 1
        fake = self._generator(torch.randn(len(real), self._latent, device=self._device))
        with keeping_statistics(self._discriminator):
            fake_logits = self._discriminator(fake.detach())
        d_loss = discriminator_loss(self._discriminator(real), fake_logits)
        _descend(self._d_optimizer, d_loss)
        # Spare the gradients of the weights that do not move.
        self._discriminator.requires_grad_(False)
        with keeping_statistics(self._discriminator):
            g_loss = generator_loss(self._discriminator(fake))
        _descend(self._g_optimizer, g_loss)
        self._discriminator.requires_grad_(True)


def _descend(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]  # torch has no annotation here
    optimizer.step()
