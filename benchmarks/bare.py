"""Bare PyTorch loops of all methods: training steps as one would write them without Lightning."""

from __future__ import annotations

import copy
from typing import Any

import lightning.pytorch as pl
import torch
from torch import nn
from torch.nn import functional

from benchmarks.training import BareEMotionGAN, BareGAN, BareLoop, _descend
from datamodules.batch import FlowBatch, OccludedFlowBatch
from lightning_modules.classifier import Classifier, FaceClassifier
from lightning_modules.dcgan_svm import DCGANSVM
from lightning_modules.emotion_gan import EMotionGAN
from lightning_modules.ssim_vae import SSIMVAE


def bare_loop(module: pl.LightningModule) -> BareLoop:
    """Make the bare loop of a method, on a copy of its networks."""
    for kind, loop in _LOOPS.items():
        if isinstance(module, kind):
            return loop(module)  # type: ignore[no-any-return]
    raise ValueError(f"{type(module).__name__} has no bare loop: it is none of the methods.")


class BareFlowClassifier(BareLoop):
    """The training step of Flow-CNN, on a copy of the model."""

    def __init__(self, module: Classifier) -> None:
        self.device = module.device
        self._module = _copy(module, module.optimizer, module.lr_scheduler)
        self._optimizer = module.optimizer(self._module.network.parameters())

    def step(self, batch: FlowBatch) -> None:
        """Train on the flows of a batch."""
        loss = functional.cross_entropy(self._module(batch["flow"]), batch["label"])
        _descend(self._optimizer, loss)


class BareFaceClassifier(BareFlowClassifier):
    """The training step of PCNN and of ResNet-18, on a copy of the model."""

    def step(self, batch: Any) -> None:
        """Train on the images of a batch."""
        _descend(self._optimizer, self._module.losses(batch["image"], batch["label"])["total"])


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
        _descend(vae, losses["vae"])
        logits = module.flow_cnn(clean).float()
        _descend(flow_cnn, functional.cross_entropy(logits, batch["label"]))
        samples = torch.arange(len(clean), device=self.device)
        occluded = occluded.view(len(clean), -1, *clean.shape[1:])
        shown = occluded[samples, torch.randint_like(samples, occluded.shape[1])]
        half = torch.rand_like(clean[:, :1, :1, :1]) < 0.5
        logits = module.baseline_cnn(torch.where(half, clean, shown)).float()
        _descend(baseline_cnn, functional.cross_entropy(logits, batch["label"]))


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
