"""Training by `lightning fit`: against bare PyTorch loops, and how long it waits for data."""

from __future__ import annotations

import copy
import statistics
import time
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

import lightning.pytorch as pl
import torch
from lightning.pytorch.profilers import Profiler
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.measuring import Clock, Result, Seconds, median_ratio, milliseconds, timed
from datamodules.batch import PosedFlowBatch
from experiments.cli import main
from lightning_modules.dcgan_svm import DCGANSVM
from lightning_modules.emotion_gan import EMotionGAN
from lightning_modules.networks.dcgan import keeping_statistics
from losses.adversarial import discriminator_loss, generator_loss

LAPTOP = (
    "--config=experiments/emotion_gan.yaml",
    "--config=experiments/presets/laptop.yaml",
    "--model.e_fer_epochs=1",  # before the steps that are measured
)
DCGAN_LAPTOP = (
    "--config=experiments/dcgan_svm.yaml",
    "--config=experiments/presets/dcgan_laptop.yaml",
)


def measure_step(*, quick: bool = False, experiment: Sequence[str] = LAPTOP) -> Result:
    """Take turns between blocks of steps of `fit` and blocks of steps of a bare loop.

    Both run in one process on copies of one model, so that what else the machine does meets both.
    A block is as long as the laptop preset logs apart, so that logging is part of each.
    """
    steps, turns = (2, 2) if quick else (10, 7)
    TakingTurns.steps = steps
    callback = f"--trainer.callbacks+={TakingTurns.__module__}.{TakingTurns.__name__}"
    _fit(steps * (turns + 1), callback, experiment=experiment)
    fitted, bare = TakingTurns.fitted, TakingTurns.bare
    return {
        "what": "step of fit / step of a bare PyTorch loop",
        "ratio": median_ratio([one.wall for one in fitted], [one.wall for one in bare]),
        "bound": "at most 1.05",
        "details": {
            "fit_ms": milliseconds(fitted, parts=steps),
            "bare_ms": milliseconds(bare, parts=steps),
            "processor_time_ratio": median_ratio(
                [one.processor for one in fitted], [one.processor for one in bare]
            ),
            "steps_a_turn": steps,
        },
    }


def measure_gan_step(*, quick: bool = False, experiment: Sequence[str] = DCGAN_LAPTOP) -> Result:
    """Take turns as `measure_step` does, on a DCGAN."""
    result = measure_step(quick=quick, experiment=experiment)
    return {**result, "what": "step of fit of a DCGAN / step of a bare PyTorch loop"}


def measure_waiting(*, quick: bool = False, experiment: Sequence[str] = LAPTOP) -> Result:
    """Time how long each step of `fit` waits for its batch and for it to be on the device."""
    profiler = f"--trainer.profiler={Waiting.__module__}.{Waiting.__name__}"
    _fit(6 if quick else 100, profiler, experiment=experiment)
    ends = [end for _, end in Waiting.spans[_STEP]][_WARM_UP:]
    waits, moves = (
        # Those of the steps whose time is counted: from the end of one to the end of the next.
        [end - begin for begin, end in Waiting.spans[name] if ends[0] <= begin <= ends[-1]]
        for name in (_NEXT, _MOVE)
    )
    steps = len(ends) - 1
    return {
        "what": "time waiting for data / time of a step",
        "ratio": (sum(waits) + sum(moves)) / (ends[-1] - ends[0]),
        "bound": "below 0.05",
        "details": {
            "next_batch_ms": round(1000 * statistics.median(waits), 3),
            "to_device_and_float_ms": round(1000 * statistics.median(moves), 3),
            "step_ms": round(1000 * (ends[-1] - ends[0]) / steps, 2),
            "steps": steps,
        },
    }


def _fit(steps: int, *arguments: str, experiment: Sequence[str]) -> None:
    """Run `lightning fit` for some steps, in a run folder that is thrown away."""
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


_NEXT = "[_TrainingEpochLoop].train_dataloader_next"
_MOVE = ".batch_to_device"
_STEP = "run_training_batch"
_WARM_UP = 2


class Waiting(Profiler):
    """Notes begin and end of what a step waits for, and of the step itself.

    Attributes:
        spans: Begin and end in seconds of every time that an action ran, in the latest run.
    """

    spans: ClassVar[dict[str, list[tuple[float, float]]]] = defaultdict(list)

    def __init__(self) -> None:
        super().__init__()
        self.spans.clear()
        self._began: dict[str, float] = {}

    def start(self, action_name: str) -> None:
        """Begin an action."""
        self._began[action_name] = time.perf_counter()

    def stop(self, action_name: str) -> None:
        """End an action."""
        name = _MOVE if action_name.endswith(_MOVE) else action_name
        if name in (_NEXT, _MOVE, _STEP):
            self.spans[name].append((self._began[action_name], time.perf_counter()))


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
        method: Any = pl_module
        self._loop: BareLoop = (
            BareGAN(method) if isinstance(method, DCGANSVM) else BareEMotionGAN(method)
        )
        self._loop.read(trainer.datamodule)  # type: ignore[attr-defined]
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
        fitted, bare = self._clock.read(), timed(self._loop.run, self.steps)
        if self._warm:
            self.fitted.append(fitted)
            self.bare.append(bare)
        self._warm = True
        self._clock = Clock()


class BareLoop(ABC):
    """Training steps as one would write them without Lightning, on a copy of a model."""

    device: torch.device

    def read(self, data: pl.LightningDataModule) -> None:
        """Take batches from a data module that was set up."""
        self._batches = self._endless(data)

    def run(self, steps: int) -> None:
        """Train for some steps."""
        for _ in range(steps):
            self.step(next(self._batches))

    @abstractmethod
    def step(self, batch: Any) -> None:
        """Train on a batch."""

    def _endless(self, data: pl.LightningDataModule) -> Iterator[Any]:
        while True:
            for batch in data.train_dataloader():
                stored = data.on_before_batch_transfer(batch, 0)
                moved = data.transfer_batch_to_device(stored, self.device, 0)
                yield data.on_after_batch_transfer(moved, 0)


class BareEMotionGAN(BareLoop):
    """The training step of eMotion-GAN, on a copy of the model."""

    def __init__(self, module: EMotionGAN) -> None:
        self.device = module.device
        # The trainer stays behind, and what makes the optimizers is shared: neither can be copied.
        shared = [module.optimizer_callables, module.lr_scheduler]
        trainer, module._trainer = module._trainer, None
        self._module = copy.deepcopy(module, {id(thing): thing for thing in shared}).train()
        module._trainer = trainer
        self._optimizers, _ = self._module.configure_optimizers()

    def step(self, batch: PosedFlowBatch) -> None:
        """Train the four networks on a batch."""
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


class BareGAN(BareLoop):
    """The training step of a DCGAN, on copies of its networks."""

    def __init__(self, module: DCGANSVM) -> None:
        self.device = module.device
        self._latent, self._channels = module.latent, module.channels
        self._generator = copy.deepcopy(module.generator).train()
        self._discriminator = copy.deepcopy(module.discriminator).train()
        build_d, build_g = module.optimizer_callables
        self._d_optimizer = build_d(self._discriminator.parameters())
        self._g_optimizer = build_g(self._generator.parameters())

    def step(self, batch: Any) -> None:
        """Train both networks on the images of a batch."""
        image = batch["image"]
        real = 2 * (image if self._channels == 3 else image.mean(dim=1, keepdim=True)) - 1
        fake = self._generator(torch.randn(len(real), self._latent, device=self.device))
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
