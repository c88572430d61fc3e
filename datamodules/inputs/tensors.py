"""Batches of an input as tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch.utils.data import IterableDataset

from datamodules.inputs.reading import InputBatch


class TensorStream(IterableDataset[InputBatch]):
    """Batches of an input, their arrays as tensors; lists stay lists.

    Args:
        batches: Begins the batches.
    """

    def __init__(self, batches: Callable[[], Iterator[InputBatch]]) -> None:
        self._batches = batches

    def __iter__(self) -> Iterator[InputBatch]:
        return map(as_tensors, self._batches())


def as_tensors(batch: InputBatch) -> InputBatch:
    """Turn the arrays of a batch into tensors over the same memory."""
    arrays = {k: torch.from_numpy(v) for k, v in batch.items() if isinstance(v, np.ndarray)}
    return {**batch, **arrays}
