"""What callbacks need to know of the other processes of a run."""

from __future__ import annotations

from typing import TypeVar

import torch.distributed as dist

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
