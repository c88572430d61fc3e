"""Squared distances between feature vectors, in blocks on the device, and kernels made of them.

All of it is in double precision: LIBSVM sums over thousands of support vectors, and the small
errors of single precision would add up to other decisions than its own.
"""

from __future__ import annotations

import torch
from torch import Tensor

# Rows of a block: two of 8,192 features in double precision take 268 MB.
_BLOCK = 2048


def squared_distances(
    rows: Tensor, columns: Tensor | None = None, *, device: torch.device | None = None
) -> Tensor:
    """Compute all squared Euclidean distances between two sets of vectors.

    Args:
        rows: Vectors [N, F].
        columns: Vectors [M, F]; None takes the rows themselves, at half the work.
        device: Where to compute; the rows' by default. A device without double precision (mps)
            leaves the work to the CPU.

    Returns:
        float64 [N, M] on the device of the rows, none below 0.
    """
    device = rows.device if device is None else device
    device = torch.device("cpu") if device.type == "mps" else device
    others = rows if columns is None else columns
    result = torch.empty(len(rows), len(others), dtype=torch.float64, device=rows.device)
    for start in range(0, len(rows), _BLOCK):
        here = slice(start, start + _BLOCK)
        block = rows[here].to(device, torch.float64)
        lengths = block.square().sum(dim=1, keepdim=True)
        for begin in range(start if columns is None else 0, len(others), _BLOCK):
            there = slice(begin, begin + _BLOCK)
            other = others[there].to(device, torch.float64)
            distances = lengths + other.square().sum(dim=1)
            distances.addmm_(block, other.T, alpha=-2).clamp_(min=0)
            if columns is None and begin == start:
                distances.fill_diagonal_(0)
            result[here, there] = distances.to(result.device)
            if columns is None and begin > start:
                result[there, here] = result[here, there].T
    return result


def rbf_kernel_(distances: Tensor, gamma: float) -> Tensor:
    """Turn squared distances into the kernel exp(-gamma d), in place: they may fill a gigabyte.

    Args:
        distances: Squared distances, of any shape; are changed.
        gamma: Width parameter, above 0.

    Returns:
        The same tensor.
    """
    return distances.mul_(-gamma).exp_()


def mean_variance(distances: Tensor) -> float:
    """Return the total variance of vectors from the squared distances [N, N] between them.

    scikit-learn's ``gamma="scale"`` is one over it, but that it counts differences between the
    means of features as variance too; they move no distance.
    """
    return float(distances.mean()) / 2
