"""Means and rows of the samples of an epoch, computed once over all processes."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric, MetricCollection
from torchmetrics.utilities import dim_zero_cat


class SampleMeans(Metric):
    """Means of named quantities, each over the samples it was counted on.

    Sums and counts are kept, so that several processes add up to the same numbers, and a NaN stays
    one.

    Args:
        names: Names of the quantities.
    """

    full_state_update = False
    sums: Tensor
    counts: Tensor

    def __init__(self, names: Iterable[str]) -> None:
        super().__init__()
        self.names = tuple(names)
        for state in ("sums", "counts"):
            self.add_state(state, torch.zeros(len(self.names)), dist_reduce_fx="sum")

    def update(self, **values: Tensor) -> None:
        """Count samples.

        Args:
            **values: Of some of the quantities, a number for each sample.
        """
        for name, value in values.items():
            index = self.names.index(name)
            # Dense: the last digit of a float32 sum depends on the memory layout.
            self.sums[index] += value.flatten().sum()
            self.counts[index] += value.numel()

    def compute(self) -> dict[str, Tensor]:
        """Return the means by name, without those of which no process counted anything."""
        means = zip(self.names, self.sums / self.counts, self.counts, strict=True)
        return {name: mean for name, mean, count in means if count}


class SampleRows(Metric):
    """The rows of all samples of all processes.

    Args:
        *shape: Shape of a row.
    """

    full_state_update = False
    rows: list[Tensor] | Tensor

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.shape = shape
        self.add_state("rows", [], dist_reduce_fx="cat")

    def update(self, rows: Tensor) -> None:
        """Keep the rows of a batch [B, ...]."""
        assert isinstance(self.rows, list)  # for mypy
        # Flat, because torchmetrics gathers of a process without a sample a flat tensor too.
        self.rows.append(rows.float().flatten())

    def compute(self) -> Tensor:
        """Return all rows [N, ...]."""
        return dim_zero_cat(self.rows).view(-1, *self.shape)


def take(metric: Metric | MetricCollection) -> Any:
    """Compute a metric over all processes, then start it anew.

    Args:
        metric: The metric. Every process must call it, whether it counted anything or not.

    Returns:
        What the metric computes.
    """
    with warnings.catch_warnings():
        # A process without a sample still has to take part in the sums.
        warnings.filterwarnings("ignore", message="The ``compute`` method of metric")
        result = metric.compute()
    metric.reset()
    return result
