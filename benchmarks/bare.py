"""Bare PyTorch loops of all methods: training steps as one would write them without Lightning."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor, nn
from torch.nn import functional

from datamodules.batch import FlowBatch, OccludedFlowBatch, PosedFlowBatch
from lightning_modules.classifier import Classifier
from lightning_modules.dcgan_svm import DCGANSVM
from lightning_modules.emotion_gan import EMotionGAN
from lightning_modules.face_classifier import FaceClassifier
from lightning_modules.networks.dcgan import keeping_statistics
from lightning_modules.ssim_vae import SSIMVAE
from losses.adversarial import discriminator_loss, generator_loss


def bare_loop(module: pl.LightningModule) -> BareLoop:
    """Make the bare loop of a method, on a copy of its networks."""
    for kind, loop in _LOOPS.items():
        if isinstance(module, kind):
            return loop(module)  # type: ignore[no-any-return]
    raise ValueError(f"{type(module).__name__} has no bare loop: it is none of the methods.")


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
        self._module = _copy(module, module.optimizer_callables, module.lr_scheduler)
        self._optimizers, _ = self._module.configure_optimizers()
        copied = self._module
        self.networks = (copied.g_f, copied.g_w, copied.d_p, copied.d_e, copied.e_fer)

    def step(self, batch: PosedFlowBatch) -> None:
        """Train the four networks on a batch."""
        module = self._module
        g_f, g_w, d_p, d_e = self._optimizers
        posed = module.encode_posed(batch["posed_flow"])
        frontal = module.codec.encode(batch["flow"])
        with self._only(module.g_w):
            descend(g_w, module._image_generator_losses(batch, frontal)["g_w"])
        with self._only(module.g_f):
            frontalized = module.g_f(posed)
            losses = module._flow_generator_losses(batch, posed, frontal, frontalized)
            descend(g_f, losses["g_f"])
        frontalized = frontalized.detach()
        with self._only(module.d_p):
            real, fake = module.d_p(frontal, posed), module.d_p(frontalized, posed)
            descend(d_p, discriminator_loss(real, fake))
        with self._only(module.d_e):
            descend(d_e, functional.cross_entropy(module.d_e(frontal).float(), batch["label"]))

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
        self._latent, self._channels = module.latent, module.features.channels
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
        descend(self._d_optimizer, d_loss)
        # Spare the gradients of the weights that do not move.
        self._discriminator.requires_grad_(False)
        with keeping_statistics(self._discriminator):
            g_loss = generator_loss(self._discriminator(fake))
        descend(self._g_optimizer, g_loss)
        self._discriminator.requires_grad_(True)


class BareFlowClassifier(BareLoop):
    """The training step of Flow-CNN, on a copy of the model."""

    def __init__(self, module: Classifier) -> None:
        self.device = module.device
        self._module = _copy(module, module.optimizer, module.lr_scheduler)
        self._optimizer = module.optimizer(self._module.network.parameters())

    def step(self, batch: FlowBatch) -> None:
        """Train on the flows of a batch."""
        loss = functional.cross_entropy(self._module(batch["flow"]), batch["label"])
        descend(self._optimizer, loss)


class BareFaceClassifier(BareFlowClassifier):
    """The training step of PCNN and of ResNet-18, on a copy of the model."""

    def step(self, batch: Any) -> None:
        """Train on the images of a batch."""
        descend(self._optimizer, self._module.losses(batch["image"], batch["label"])["total"])


class BareSSIMVAE(BareLoop):
    """The training step of SSIM-VAE with both Flow-CNNs, on a copy of the model."""

    def __init__(self, module: SSIMVAE) -> None:
        self.device = module.device
        self._module = _copy(module, module.optimizer_callables, module.lr_scheduler)
        self._optimizers, _ = self._module.configure_optimizers()
        self._steps = 0

    def step(self, batch: OccludedFlowBatch) -> None:
        """Train the three networks, which share no weight, on the flows of a batch."""
        module = self._module
        vae, flow_cnn, baseline_cnn = self._optimizers
        clean = module.codec.encode(batch["flow"])
        occluded = module.codec.encode(batch["occluded_flow"].flatten(0, 1))
        self._steps += 1
        module.mean_flow.lerp_(clean.mean(0), 1 / self._steps)
        target = ((clean + 1) / 2).repeat_interleave(batch["occluded_flow"].shape[1], dim=0)
        losses, _ = module._vae_losses((occluded + 1) / 2, target)
        descend(vae, losses["vae"])
        logits = module.flow_cnn(clean).float()
        descend(flow_cnn, functional.cross_entropy(logits, batch["label"]))
        samples = torch.arange(len(clean), device=self.device)
        occluded = occluded.view(len(clean), -1, *clean.shape[1:])
        shown = occluded[samples, torch.randint_like(samples, occluded.shape[1])]
        half = torch.rand_like(clean[:, :1, :1, :1]) < 0.5
        logits = module.baseline_cnn(torch.where(half, clean, shown)).float()
        descend(baseline_cnn, functional.cross_entropy(logits, batch["label"]))


_LOOPS: dict[type[nn.Module], Any] = {
    EMotionGAN: BareEMotionGAN,
    DCGANSVM: BareGAN,
    SSIMVAE: BareSSIMVAE,
    FaceClassifier: BareFaceClassifier,
    Classifier: BareFlowClassifier,
}


def _copy(module: Any, *shared: Any) -> Any:
    """Copy a module but for its trainer and what makes its optimizers, which cannot be copied."""
    trainer, module._trainer = module._trainer, None
    copied = copy.deepcopy(module, {id(thing): thing for thing in shared}).train()
    module._trainer = trainer
    return copied


def descend(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    """Make one step down a loss."""
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]  # torch has no annotation here
    optimizer.step()
