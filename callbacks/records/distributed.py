"""What the processes of a run tell each other."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
import torch.distributed as dist
from numpy.typing import NDArray

T = TypeVar("T")


def gather(value: T) -> list[T]:
    """Collect a small picklable value from every process, in the order of the ranks.

    Every process must call it. The values must be plain: they travel pickled.

    Args:
        value: The value of this process.

    Returns:
        The values of all processes; only its own where there is one process.
    """
    if not (dist.is_available() and dist.is_initialized()):
        return [value]
    values: list[T] = [value] * dist.get_world_size()
    dist.all_gather_object(values, value)
    return values


def join_samples(columns: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Put the samples of all processes together, each once; every process must call it.

    Args:
        columns: Values of the samples of this process [N, ...] by name, one of them ``sample_id``;
            empty where it was dealt none.

    Returns:
        Those of all processes, in the order of their ids; empty where no process has any.
    """
    parts = [part for part in gather(columns) if part]
    if not parts:
        return {}
    whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    # A distributed sampler may repeat some.
    _, first = np.unique(whole["sample_id"], return_index=True)
    return {name: values[first] for name, values in whole.items()}
