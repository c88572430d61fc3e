"""How large a model is and what an answer of it costs, said before anybody waits for it."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

_LARGE = 20_000_000
_PRESETS = Path(__file__).resolve().parents[1] / "presets"


def describe_size(model: nn.Module, device: str) -> list[str]:
    """Describe the parameters of each network of a model, and its multiplications.

    Args:
        model: The model; one with an ``example_input_array`` tells its multiplications too.
        device: Type of the device it is trained on, e.g. `cpu`.

    Returns:
        A line of sizes and, for a large model on a CPU, one that says what to do about it.
    """
    sizes = {
        name: sum(parameter.numel() for parameter in network.parameters())
        for name, network in model.named_children()
    }
    total = sum(sizes.values())
    each = ", ".join(f"{name} {_millions(size)}" for name, size in sizes.items() if size)
    name = type(model).__name__
    lines = [f"{name} has {_millions(total)} parameters ({each})."]
    example = getattr(model, "example_input_array", None)
    if isinstance(example, Tensor):
        shape = "x".join(str(side) for side in example.shape[1:])
        lines.append(f"An image of {shape} costs it {count_macs(model, example) / 1e9:.3g} GMACs.")
    if total > _LARGE and device == "cpu":
        lines.append(
            f"That is slow on a CPU: add --config experiments/presets/{_preset(name)} for a small "
            "model that trains in minutes."
        )
    return lines


def count_macs(model: nn.Module, example: Tensor) -> int:
    """Count the multiplications with an addition of one answer, on the model's device.

    Convolutions and matrix products are counted, as everybody does; the model stays as it is.

    Returns:
        MACs: half of what counts as floating point operations.
    """
    training = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            model(example)
    finally:
        for module, mode in training.items():
            module.training = mode
    return int(counter.get_total_flops()) // 2


def _preset(method: str) -> str:
    """Return the file name of a method's laptop preset; one file is without a method's name."""
    own = f"{method.lower()}laptop"
    paths = _PRESETS.glob("*_laptop.yaml")
    return next((p.name for p in paths if p.stem.replace("_", "") == own), "laptop.yaml")


def _millions(count: int) -> str:
    return f"{count / 1e6:.1f} M" if count >= 100_000 else f"{count / 1e6:.3f} M"
