"""What makes the same training faster on an accelerator."""

from __future__ import annotations

import lightning.pytorch as pl
import torch


class Acceleration(pl.Callback):
    """Lays out convolutions channels-last and compiles the networks, where asked.

    Networks are compiled in place, each child of the module on its own, so that the names in
    checkpoints stay and a checkpoint fits with and without.

    Args:
        channels_last: Store images and weights with their channels innermost.
        compile: Compile each network with `torch.compile`.
    """

    def __init__(self, channels_last: bool = False, compile: bool = False) -> None:
        self.channels_last = channels_last
        self.compile = compile
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
