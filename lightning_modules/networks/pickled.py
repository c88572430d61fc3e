"""The tensors of a pickle that holds more than tensors, taken without running anything of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from datamodules.errors import UserError


class _Blank:
    """Stands where a file has an object of a class or the result of a call: it does nothing."""

    def __new__(cls, *_: Any, **__: Any) -> _Blank:
        return super().__new__(cls)

    def __init__(self, *_: Any, **__: Any) -> None:
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state


def keep_tensors(source: str | Path, target: str | Path) -> None:
    """Write the tensors of a file, by their names, into a file that holds nothing else.

    For checkpoints whose training script saved objects of its own beside the weights, and for
    networks that were saved whole. Neither the classes nor the functions that the file names are
    looked up or called.

    Args:
        source: A file that ``torch.save`` wrote.
        target: Where the tensors go.

    Raises:
        UserError: If the file cannot be read so, or holds no tensor under a name.
    """
    if not Path(source).is_file():
        raise UserError(f"The file of weights {source} does not exist.")
    try:
        names = torch.serialization.get_unsafe_globals_in_checkpoint(source)
        stand_ins: list[Any] = [(_Blank, name) for name in names]
        with torch.serialization.safe_globals(stand_ins):
            content = torch.load(source, map_location="cpu", weights_only=True)
    except torch.OutOfMemoryError:
        raise
    # A damaged file shows itself as almost any exception of zipfile, pickle or torch.
    except Exception as error:
        raise UserError(
            f"{source} is damaged, names what runs commands, or was written by a torch before 1.6: "
            "its tensors cannot be taken out without running it."
        ) from error
    if not (kept := _tensors(content)):
        raise UserError(f"{source} holds no tensors under names, so nothing was written.")
    torch.save(kept, target)


def _tensors(value: Any) -> Any:
    """Return the tensors of mappings and whole networks in mappings, None where there is none."""
    if isinstance(value, Tensor):
        return value.detach()
    if isinstance(value, _Blank) and isinstance(value.state, dict):
        value = _state(value.state)
    if not isinstance(value, Mapping):
        return None
    kept = {name: _tensors(below) for name, below in value.items() if isinstance(name, str)}
    return {name: below for name, below in kept.items() if below is not None} or None


def _state(module: Mapping[str, Any]) -> dict[str, Any]:
    """Return the state dict of a network, given the attributes of its module."""
    found = {**(module.get("_parameters") or {}), **(module.get("_buffers") or {})}
    for name, child in (module.get("_modules") or {}).items():
        if isinstance(child, _Blank) and isinstance(child.state, dict):
            found |= {f"{name}.{below}": value for below, value in _state(child.state).items()}
    return found
