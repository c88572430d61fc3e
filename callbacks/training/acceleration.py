"""What makes the same training faster on an accelerator."""

from __future__ import annotations

import lightning.pytorch as pl
import torch


class Acceleration(pl.Callback):
    """Lays out convolutions channels-last, compiles networks, fuses optimizers, where asked.

    Networks are compiled in place, each child of the module on its own, so that the names in
    checkpoints stay and a checkpoint fits with and without. What is compiled is the call of a
    network: a training step has to enter it there, not by another of its methods.

    No whole step is recorded as a CUDA graph, because shapes are not the same in all steps: the
    last batch of an epoch is smaller than the others, G_W of eMotion-GAN sees as many pairs as a
    batch has, and the cropping two_random of PCNN draws where it cuts. Nor does any step wait for
    the device, so that the host hands out kernels ahead of it.

    Args:
        channels_last: Store images and weights with their channels innermost.
        compile: Compile each network with `torch.compile`.
        fused: Take an optimizer's step in one kernel, where it has one (Adam, AdamW, SGD, Adagrad).
    """

    def __init__(
        self, channels_last: bool = False, compile: bool = False, fused: bool = False
    ) -> None:
        self.channels_last = channels_last
        self.compile = compile
        self.fused = fused
        self._done = False

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Change the networks before they go to the device."""
        if self._done:
            return
        self._done = True
        for network in pl_module.children():
            # Metrics and losses have no weights, and nothing to gain.
            if next(network.parameters(), None) is None:
                continue
            if self.channels_last:
                network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            if self.compile:
                network.compile()

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Fuse the optimizers, after their states were read from a checkpoint of any run."""
        if not self.fused:
            return
        for optimizer in trainer.optimizers:
            for group in optimizer.param_groups:
                if "fused" in group:
                    group["fused"] = True
            for parameter, state in optimizer.state.items():
                if "step" in state:  # a kernel counts on the device
                    state["step"] = state["step"].to(parameter.device)
