"""Two methods tested against each other, on the same folds and on the same samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from callbacks.statistics import Estimate, corrected_resampled_t, mcnemar

K = TypeVar("K")


def over_folds(differences: Sequence[float], folds: int) -> tuple[Estimate, float | None]:
    """Test differences on some of so many folds; see `corrected_resampled_t`."""
    # One fold tests, the next validates, and the others train.
    return corrected_resampled_t(differences, 1 / (folds - 2) if folds > 2 else 0.0)


def over_samples(right: Mapping[K, bool] | None, others: Mapping[K, bool] | None) -> float | None:
    """Test right answers by sample; None where the samples differ. See `mcnemar`."""
    if not right or not others or right.keys() != others.keys():
        return None
    return mcnemar([right[key] for key in others], list(others.values()))
