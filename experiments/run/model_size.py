"""How large a model is and what an answer of it costs, said before anybody waits for it."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn

from callbacks.records.size import count

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
        lines.append(f"An image of {shape} costs it {count(model, example).macs / 1e9:.3g} GMACs.")
    if total > _LARGE and device == "cpu":
        lines.append(
            f"That is slow on a CPU: add --config experiments/presets/{_preset(name)} for a small "
            "model that trains in minutes."
        )
    return lines


def _preset(method: str) -> str:
    """Return the file name of a method's laptop preset; one file is without a method's name."""
    own = f"{method.lower()}laptop"
    paths = _PRESETS.glob("*_laptop.yaml")
    return next((p.name for p in paths if p.stem.replace("_", "") == own), "laptop.yaml")


def _millions(count: int) -> str:
    return f"{count / 1e6:.1f} M" if count >= 100_000 else f"{count / 1e6:.3f} M"
