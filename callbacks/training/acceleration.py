"""What makes the same training faster on an accelerator."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import GradientAccumulationScheduler
from lightning.pytorch.strategies import SingleDeviceStrategy
from torch import nn

from callbacks.training.recorded_calls import RecordedCalls
from datamodules.errors import UserError


class Acceleration(pl.Callback):
    """Lays out convolutions channels-last, compiles or records networks, fuses optimizers.

    Each where it is asked for. Networks are compiled or recorded in place, each child of the module
    on its own, so that the names in checkpoints stay and a checkpoint fits with and without. What
    is compiled or recorded is the call of a network: a training step has to enter it there, not by
    another of its methods.

    No whole step is recorded, because not all of it is the same in all steps: G_W of eMotion-GAN
    sees as many pairs as a batch has, and optimizers follow schedules that the host counts. Nor
    does any step wait for the device, so that the host hands out kernels ahead of it.

    Args:
        channels_last: Store images and weights with their channels innermost; null does so on
            processors, which take 0.73 to 0.87 of a step's time then, and not on other devices.
        compile: Compile each network with `torch.compile`; with ``graphs`` for training alone.
        graphs: Record the calls of each network in training as CUDA graphs, which costs memory; see
            :class:`RecordedCalls`. For one CUDA device, gradients of one batch at a time, and data
            that no process reads beside it.
        fused: Take an optimizer's step in one kernel, where it has one (Adam, AdamW, SGD, Adagrad).
    """

    def __init__(
        self,
        channels_last: bool | None = None,
        compile: bool = False,
        graphs: bool = False,
        fused: bool = False,
    ) -> None:
        self.channels_last = channels_last
        self.compile = compile
        self.graphs = graphs
        self.fused = fused
        self._done = False
        self._calls: RecordedCalls | None = None

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Change the networks before they go to the device.

        Raises:
            UserError: If CUDA graphs are asked for where they cannot be.
        """
        if self.graphs and stage == "fit":
            _refuse_graphs(trainer)
        if self._done:
            return
        self._done = True
        on_cpu = trainer.strategy.root_device.type == "cpu"
        channels_last = on_cpu if self.channels_last is None else self.channels_last
        for network in _networks(pl_module):
            if channels_last and not (on_cpu and _crashes(network)):
                network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            if self.compile and not self.graphs:
                network.compile()

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Prepare recordings; fuse optimizers, once their states were read from a checkpoint."""
        if self.graphs:
            self._calls = RecordedCalls(_networks(pl_module), compile=self.compile)
        if not self.fused:
            return
        for optimizer in trainer.optimizers:
            for group in optimizer.param_groups:
                if "fused" in group:
                    group["fused"] = True
            for parameter, state in optimizer.state.items():
                if "step" in state:  # a kernel counts on the device
                    state["step"] = state["step"].to(parameter.device)

    def on_train_batch_start(self, trainer: pl.Trainer, *_: Any) -> None:
        """Let recordings stand in for the networks."""
        if self._calls is not None:
            self._calls.begin()

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """Leave the networks as they were: they are copied, validated and saved between steps."""
        if self._calls is not None:
            self._calls.end()

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Free the memory of all recordings."""
        self.on_train_batch_end(trainer)
        self._calls = None

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        """Do the same."""
        self.on_train_end(trainer, pl_module)


def _networks(module: pl.LightningModule) -> list[nn.Module]:
    """Return the children that have weights: metrics and losses have nothing to gain."""
    return [child for child in module.children() if next(child.parameters(), None) is not None]


def _crashes(network: nn.Module) -> bool:
    """Tell whether a processor may crash in the gradients of a network that lies channels-last.

    Torch 2.13 did in 1x1 convolutions of stride 2 from 2 to 12 channels, from 16 never, nor in
    2,500 others drawn at random.
    """
    return any(
        layer.kernel_size == (1, 1) and layer.stride != (1, 1) and layer.in_channels % 16
        for layer in network.modules()
        if isinstance(layer, nn.Conv2d)
    )


def _refuse_graphs(trainer: pl.Trainer) -> None:
    device = trainer.strategy.root_device.type
    if device != "cuda":
        raise _refusal(f"needs a CUDA device, and the trainer computes on {device}")
    if not isinstance(trainer.strategy, SingleDeviceStrategy):
        raise _refusal(
            f"is for one device, and the trainer has {trainer.world_size} by the strategy "
            f"{type(trainer.strategy).__name__}"
        )
    callbacks: list[pl.Callback] = trainer.callbacks  # type: ignore[attr-defined]
    schedules = any(isinstance(c, GradientAccumulationScheduler) for c in callbacks)
    if trainer.accumulate_grad_batches > 1 or schedules:
        raise _refusal(
            "writes new gradients over old ones, which trainer.accumulate_grad_batches would add up"
        )
    if trainer._detect_anomaly:
        raise _refusal(
            "lets nothing look into a step, and trainer.detect_anomaly looks at every gradient"
        )
    workers = getattr(getattr(trainer, "datamodule", None), "num_workers", 0)
    if workers:
        raise _refusal(
            "bears no thread that pins memory while it records, and data.num_workers is "
            f"{workers}, not 0"
        )


def _refusal(reason: str) -> UserError:
    return UserError(f"acceleration.graphs {reason}: give --acceleration.graphs false.")
