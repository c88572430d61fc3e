"""How large a model is, said before anybody waits for it."""

from __future__ import annotations

from torch import nn

_LARGE = 20_000_000


def describe_size(model: nn.Module, device: str) -> list[str]:
    """Describe the parameters of each network of a model.

    Args:
        model: The model.
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
    lines = [f"{type(model).__name__} has {_millions(total)} parameters ({each})."]
    if total > _LARGE and device == "cpu":
        lines.append(
            "That is slow on a CPU: add --config experiments/presets/laptop.yaml for a small "
            "model that trains in minutes."
        )
    return lines


def _millions(count: int) -> str:
    return f"{count / 1e6:.1f} M" if count >= 100_000 else f"{count / 1e6:.3f} M"
