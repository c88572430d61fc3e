"""Features on one scale, by the statistics of the training part."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from lightning_modules.svm.modules import FittedArrays

# So that a feature that hardly ever changes is not blown up.
_LEAST_DEVIATION = 1e-6
# Faces of a chunk, so that what lies between features and scaled features stays small.
_CHUNK = 1024


class FeatureScaling(FittedArrays):
    """Standardises each feature, and gives the features of each block unit length.

    Blocks of few and of many features, and faces of weak and of strong contrast, then count alike
    in the distances of a machine.

    Axis letters: F features.

    Args:
        widths: Number of features of each block, F in sum; none for a single block.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, widths: Sequence[int] = ()) -> None:
        super().__init__(mean=torch.zeros(0), deviation=torch.zeros(0))
        self._widths = list(widths)

    def fit(self, features: Tensor) -> dict[str, Tensor]:
        """Measure the features of the training part [N, F]; take over and return the arrays."""
        deviation, mean = torch.std_mean(features, dim=0, correction=0)
        arrays = {"mean": mean, "deviation": deviation.clamp_(min=_LEAST_DEVIATION)}
        self.fill(arrays)
        return arrays

    def forward(self, features: Tensor) -> Tensor:
        """Return the scaled features [B, F] of features [B, F]."""
        return torch.cat([self.standardise(chunk) for chunk in torch.split(features, _CHUNK)])

    def standardise(self, features: Tensor) -> Tensor:
        """Scale features [B, F] all at once."""
        mean, deviation = self.mean.to(features.device), self.deviation.to(features.device)
        standard = (features - mean) / deviation
        blocks = torch.split(standard, self._widths or standard.shape[1], dim=1)
        return torch.cat([functional.normalize(block, dim=1) for block in blocks], dim=1)
