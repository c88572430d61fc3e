"""How large a method is and how much it computes for an answer, counted after its test."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import lightning.pytorch as pl
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from callbacks.records.costs import SIZE_FILE
from datamodules.store.replacing import write_json


class Size(pl.Callback):
    """Writes ``size.json``: parameters, megabytes of weights and multiplications of one answer.

    That is the method's ``forward`` on its ``example_input_array``, a batch of one; networks that
    take no part in it, such as discriminators, count for nothing. A method without an example is
    left alone.
    """

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Count and write."""
        inputs = example_of(pl_module)
        if not trainer.is_global_zero or inputs is None:
            return
        weights, macs = count(pl_module, *inputs)
        size = {
            "parameters_m": sum(w.numel() for w in weights) / 1e6,
            "size_mb": sum(w.numel() * w.element_size() for w in weights) / 1e6,
            "macs_g": macs / 1e9,
        }
        write_json(Path(trainer.default_root_dir) / SIZE_FILE, size)


def example_of(module: pl.LightningModule) -> tuple[Tensor, ...] | None:
    """Return the tensors of one sample on the device of a module, None where it names none."""
    example = module.example_input_array
    inputs = (example,) if isinstance(example, Tensor) else example
    if not isinstance(inputs, tuple):
        return None
    return tuple(value[:1].to(module.device) for value in inputs)


class Answer(NamedTuple):
    """What an answer takes.

    Args:
        weights: Parameters of the modules that take part in it.
        macs: Multiplications with an addition of convolutions and matrix products, which is what
            everybody counts: half of what counts as floating point operations.
    """

    weights: list[nn.Parameter]
    macs: int


def count(model: nn.Module, *inputs: Tensor) -> Answer:
    """Count what an answer of a model takes; the model stays as it is, and is not compiled.

    Args:
        model: The model.
        inputs: What it is called with, on its device.
    """
    weights: dict[nn.Parameter, None] = {}

    def note(module: nn.Module, *_: object) -> None:
        weights.update(dict.fromkeys(module.parameters(recurse=False)))

    training = {module: module.training for module in model.modules()}
    hooks = [module.register_forward_hook(note) for module in training]
    model.eval()
    try:
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            model(*inputs)
    finally:
        for hook in hooks:
            hook.remove()
        for module, mode in training.items():
            module.training = mode
    return Answer(list(weights), int(counter.get_total_flops()) // 2)
