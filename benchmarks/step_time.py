"""Step time of `lightning fit` against a bare PyTorch loop over the same modules and data."""

from __future__ import annotations

import copy
import statistics
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, cast

import lightning.pytorch as pl
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.report import Clock, Result, Seconds
from benchmarks.training import LAPTOP, endless, fit
from datamodules.batch import PosedFlowBatch
from lightning_modules.emotion_gan import EMotionGAN
from losses.adversarial import discriminator_loss


def measure(
    *,
    quick: bool = False,
    experiment: Sequence[str] = LAPTOP,
    method: type[TakingTurns] | None = None,
) -> Result:
    """Take turns between blocks of steps of `fit` and blocks of steps of a bare loop.

    Both run in one process on copies of one model, so that what else the machine does meets both.
    A block is as long as the laptop preset logs apart, so that logging is part of each.

    Args:
        quick: Whether to run only a few steps.
        experiment: Arguments of the experiment.
        method: Whose turns to take; eMotion-GAN's by default.

    Returns:
        The ratio of the two, the median over the turns, and both times a step.
    """
    steps, turns = (2, 2) if quick else (10, 7)
    method = method or TakingTurns
    method.steps = steps
    callback = f"--trainer.callbacks+={method.__module__}.{method.__name__}"
    fit(steps * (turns + 1), callback, experiment=experiment)
    fitted, bare = method.fitted, method.bare
    turns_taken = list(zip(fitted, bare, strict=True))
    return {
        "what": "step of fit / step of a bare PyTorch loop",
        "ratio": statistics.median(one.wall / other.wall for one, other in turns_taken),
        "bound": "at most 1.05",
        "details": {
            "fit_ms": [round(1000 * block.wall / steps, 2) for block in fitted],
            "bare_ms": [round(1000 * block.wall / steps, 2) for block in bare],
            "processor_time_ratio": statistics.median(
                one.processor / other.processor for one, other in turns_taken
            ),
            "steps_a_turn": steps,
        },
    }


class TakingTurns(pl.Callback):
    """Times blocks of training steps and, between them, blocks of the bare loop.

    The first block of each warms up and does not count.

    Attributes:
        steps: Steps of a block.
        fitted: Time of each block of `fit` in the latest run.
        bare: Time of each block of the bare loop.
    """

    steps: ClassVar[int] = 1
    fitted: ClassVar[list[Seconds]] = []
    bare: ClassVar[list[Seconds]] = []

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Prepare the bare loop."""
        self.fitted.clear()
        self.bare.clear()
        self._loop = BareLoop(
            cast(EMotionGAN, pl_module),
            trainer.datamodule,  # type: ignore[attr-defined]
        )
        self._warm = False
        self._clock = Clock()

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Let the bare loop have its turn after every block."""
        if trainer.global_step % self.steps:
            return
        fitted, clock = self._clock.read(), Clock()
        self._loop.run(self.steps)
        if self._warm:
            self.fitted.append(fitted)
            self.bare.append(clock.read())
        self._warm = True
        self._clock = Clock()


class BareLoop:
    """The training step of eMotion-GAN as one would write it without Lightning.

    Args:
        module: The model; it is copied.
        data: Where the batches come from.
    """

    def __init__(self, module: EMotionGAN, data: pl.LightningDataModule) -> None:
        # The trainer stays behind, and what makes the optimizers is shared: neither can be copied.
        shared = [module.optimizer_callables, module.lr_scheduler]
        trainer, module._trainer = module._trainer, None
        self._module = copy.deepcopy(module, {id(thing): thing for thing in shared}).train()
        module._trainer = trainer
        self._optimizers, _ = self._module.configure_optimizers()
        self._batches: Iterator[PosedFlowBatch] = endless(data, module.device)

    def run(self, steps: int) -> None:
        """Train for some steps.

        Args:
            steps: Their number.
        """
        for _ in range(steps):
            self._step(next(self._batches))

    def _step(self, batch: PosedFlowBatch) -> None:
        module = self._module
        g_f, g_w, d_p, d_e = self._optimizers
        posed = module.codec.encode(batch["posed_flow"])
        frontal = module.codec.encode(batch["flow"])
        with self._only(module.g_w):
            _descend(g_w, module._image_generator_losses(batch, frontal)["g_w"])
        with self._only(module.g_f):
            frontalized = module.g_f(posed)
            losses = module._flow_generator_losses(batch, posed, frontal, frontalized)
            _descend(g_f, losses["g_f"])
        frontalized = frontalized.detach()
        with self._only(module.d_p):
            real, fake = module.d_p(frontal, posed), module.d_p(frontalized, posed)
            _descend(d_p, discriminator_loss(real, fake))
        with self._only(module.d_e):
            _descend(d_e, functional.cross_entropy(module.d_e(frontal).float(), batch["label"]))

    @contextmanager
    def _only(self, player: nn.Module) -> Iterator[None]:
        """Spare the gradients of all weights but the player's."""
        module = self._module
        players = (module.g_f, module.g_w, module.d_p, module.d_e)
        for other in players:
            other.requires_grad_(other is player)
        yield
        for other in players:
            other.requires_grad_(True)


def _descend(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]  # torch has no annotation here
    optimizer.step()
