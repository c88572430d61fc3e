"""Accuracy on named, overlapping parts of a test set."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torchmetrics import Metric


class SubsetAccuracy(Metric):
    """Share of the samples of each subset that were recognised.

    Args:
        names: Names of the subsets, such as occlusion and pose30.
    """

    right: Tensor
    seen: Tensor

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        self.names = tuple(names)
        for state in ("right", "seen"):
            zeros = torch.zeros(len(self.names), dtype=torch.int64)
            self.add_state(state, zeros, dist_reduce_fx="sum")

    def update(self, logits: Tensor, label: Tensor, subsets: Tensor) -> None:
        """Count a batch.

        Args:
            logits: [B, K].
            label: int64 [B].
            subsets: bool [B, S], which subsets a sample belongs to.
        """
        recognised = logits.argmax(dim=1) == label
        self.right += (subsets & recognised.unsqueeze(1)).sum(dim=0)
        self.seen += subsets.sum(dim=0)

    def compute(self) -> dict[str, Tensor]:
        """Return ``<subset>_accuracy`` in [0, 1] of each subset of which a sample was seen."""
        shares = self.right / self.seen.clamp(min=1)
        return {
            f"{name}_accuracy": share
            for name, share, seen in zip(self.names, shares, self.seen, strict=True)
            if seen
        }
