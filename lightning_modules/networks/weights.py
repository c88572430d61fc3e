"""Files of weights, read as tensors and plain values: nothing that they hold is run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch

from datamodules.errors import UserError


def read_weights(path: str | Path, map_location: Any = "cpu") -> dict[str, Any]:
    """Read a file of weights.

    Args:
        path: Where it is.
        map_location: Device to load to.

    Returns:
        What was saved, by name.

    Raises:
        UserError: If the file is missing or damaged, or holds more than tensors and plain values,
            or no names.
    """
    if not Path(path).is_file():
        raise UserError(f"The file of weights {path} does not exist.")
    try:
        content = torch.load(path, map_location=map_location, weights_only=True)
    except (OSError, torch.OutOfMemoryError):
        raise
    # A damaged file shows itself as almost any exception of zipfile, pickle or torch.
    except Exception as error:
        foreign = re.search(r"GLOBAL (\S+)", str(error))
        reason = (
            f"holds a {foreign.group(1)}, and only tensors and plain values are loaded"
            if foreign
            else "is damaged, or no file of weights"
        )
        raise UserError(f"{path} {reason}.") from error
    if not isinstance(content, dict):
        raise UserError(f"{path} holds a {type(content).__name__} instead of weights by name.")
    return content


def read_checkpoint(path: str | Path, map_location: Any = "cpu") -> dict[str, Any]:
    """Read a checkpoint of this project.

    Args:
        path: Where it is.
        map_location: Device to load to.

    Returns:
        What was saved; the weights are its ``state_dict``.

    Raises:
        ValueError: As :func:`read_weights`, and if there is no ``state_dict``.
    """
    checkpoint = read_weights(path, map_location)
    if "state_dict" not in checkpoint:
        raise UserError(f"{path} holds no state_dict, so it is no checkpoint of this project.")
    return checkpoint
