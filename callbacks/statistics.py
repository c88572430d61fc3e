"""Statistics of a method over folds or samples, and of two methods on the same ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtr, stdtrit

_LEVEL = 0.95


@dataclass(frozen=True)
class Estimate:
    """A measure over folds or samples.

    Args:
        n: Number of folds that have it.
        mean: Mean over them.
        std: Sample standard deviation (n - 1); None for a single one.
        low: Lower end of the 95 % interval of the mean; None for a single one.
        high: Its upper end.
    """

    n: int
    mean: float
    std: float | None = None
    low: float | None = None
    high: float | None = None


def estimate(values: Sequence[float]) -> Estimate:
    """Sum up the finite values of one fold or sample or more by Student's t.

    Folds share most of their training data, and samples their people, so that the interval is, if
    anything, too narrow.
    """
    n = len(values)
    mean, std = _mean_and_std(values)
    if std is None:
        return Estimate(n, mean)
    half = _quantile(n - 1) * std / math.sqrt(n)
    return Estimate(n, mean, std, mean - half, mean + half)


def proportion(right: int, n: int) -> Estimate:
    """Sum up the share of right answers among one sample or more by Wilson's score interval.

    Samples of one person are alike, so that the interval is, if anything, too narrow.

    Reference:
        Wilson, Probable inference, the law of succession, and statistical inference, JASA 1927.
    """
    share, z2 = right / n, float(ndtri((1 + _LEVEL) / 2)) ** 2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = math.sqrt(z2 * share * (1 - share) / n + z2**2 / (4 * n**2)) / (1 + z2 / n)
    return Estimate(n, share, None, max(centre - half, 0.0), min(centre + half, 1.0))


@dataclass(frozen=True)
class Scores:
    """What a confusion matrix says, each from 0 to 1.

    Args:
        accuracy: Share of right answers.
        balanced_accuracy: Mean recall of the classes that occur.
        f1_macro: Mean F1 of the classes that occur or were answered.
        recall: Recall of each class; None for one that does not occur.
    """

    accuracy: float
    balanced_accuracy: float
    f1_macro: float
    recall: tuple[float | None, ...]


def confusion_matrix(
    labels: Sequence[str], predicted: Sequence[str], classes: Sequence[str]
) -> NDArray[np.int64]:
    """Count the answers of each class, int64 [K, K], the true class in the row."""
    index = {name: number for number, name in enumerate(classes)}
    matrix = np.zeros((len(classes), len(classes)), np.int64)
    for label, answer in zip(labels, predicted, strict=True):
        matrix[index[label], index[answer]] += 1
    return matrix


def scores(matrix: NDArray[np.int64]) -> Scores:
    """Score a confusion matrix [K, K], the true class in the row, not all zero."""
    right = matrix.diagonal()
    occurs, answered = matrix.sum(axis=1), matrix.sum(axis=0)
    recall = [int(r) / int(n) if n else None for r, n in zip(right, occurs, strict=True)]
    known = [value for value in recall if value is not None]
    both = occurs + answered
    f1 = [2 * int(r) / int(n) for r, n in zip(right, both, strict=True) if n]
    return Scores(
        accuracy=int(right.sum()) / int(matrix.sum()),
        balanced_accuracy=math.fsum(known) / len(known),
        f1_macro=math.fsum(f1) / len(f1),
        recall=tuple(recall),
    )


def corrected_resampled_t(
    differences: Sequence[float], ratio: float
) -> tuple[Estimate, float | None]:
    """Test the difference of two methods over folds.

    The plain t-test takes the folds for independent and finds differences where there are none;
    this one widens the variance by the share of the training data that folds have in common.

    Args:
        differences: Difference on each fold, at least one.
        ratio: Test samples for each training sample, 1 / 8 where one fold of ten tests and
            another validates.

    Returns:
        Mean difference with its interval, and the two-sided p-value of no difference; no interval
        and None for a single fold, and where all folds differ by the same, of which a t-test would
        be certain.

    Reference:
        Nadeau and Bengio, Inference for the generalization error, Machine Learning 52, 2003,
        section 3. Bouckaert and Frank, PAKDD 2004, for cross-validation.
    """
    n = len(differences)
    mean, std = _mean_and_std(differences)
    if std is None:
        return Estimate(n, mean), None
    error = math.sqrt(1 / n + ratio) * std
    half = _quantile(n - 1) * error
    # A few folds of few samples may differ by the same number of answers each, but for rounding.
    if error <= 1e-9 * abs(mean):
        return (
            (Estimate(n, 0.0, 0.0, 0.0, 0.0), 1.0) if mean == 0 else (Estimate(n, mean, std), None)
        )
    p = float(2 * stdtr(n - 1, -abs(mean) / error))
    return Estimate(n, mean, std, mean - half, mean + half), p


def mcnemar(first: Sequence[bool], second: Sequence[bool]) -> float:
    """Test two methods on the same samples, by the exact binomial distribution.

    Args:
        first: Whether the first method is right on each sample.
        second: Whether the second is.

    Returns:
        Two-sided p-value. Samples of one person are not independent, so that it is, if anything,
        too small.

    Reference:
        McNemar, Psychometrika 12, 1947.
    """
    only_first = sum(a and not b for a, b in zip(first, second, strict=True))
    only_second = sum(b and not a for a, b in zip(first, second, strict=True))
    n, fewer = only_first + only_second, min(only_first, only_second)
    tail = sum(math.comb(n, k) for k in range(fewer + 1))
    # Whole numbers up to here: 2 ** n is no float for large n.
    return float(min(1.0, 2 * tail / 2**n))


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p-values for their number, so that a false one among all stays as rare as one alone.

    Reference:
        Holm, Scandinavian Journal of Statistics 6, 1979. Demsar, JMLR 7, 2006, for classifiers.
    """
    corrected, highest = [0.0] * len(p_values), 0.0
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    for rank, place in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - rank) * p_values[place]))
        corrected[place] = highest
    return corrected


def _mean_and_std(values: Sequence[float]) -> tuple[float, float | None]:
    # Exact sums: equal to the last digit whatever the order.
    mean = math.fsum(values) / len(values)
    if len(values) < 2:
        return mean, None
    return mean, math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (len(values) - 1))


def _quantile(degrees: int) -> float:
    return float(stdtrit(degrees, (1 + _LEVEL) / 2))
