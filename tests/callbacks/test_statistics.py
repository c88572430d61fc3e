from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics

from callbacks.statistics import (
    confusion_matrix,
    corrected_resampled_t,
    estimate,
    holm,
    mcnemar,
    proportion,
    scores,
)

VALUES = [0.91, 0.85, 0.97, 0.88, 0.9, 0.93, 0.79, 0.95, 0.9, 0.86]
OTHERS = [0.88, 0.86, 0.93, 0.84, 0.89, 0.9, 0.81, 0.9, 0.87, 0.8]
DIFFERENCES = [a - b for a, b in zip(VALUES, OTHERS, strict=True)]


def test_estimate_is_that_of_scipy() -> None:
    found = estimate(VALUES)
    assert found.n == 10
    assert found.mean == pytest.approx(np.mean(VALUES), abs=1e-15)
    assert found.std == pytest.approx(np.std(VALUES, ddof=1), abs=1e-15)
    low, high = stats.t.interval(0.95, 9, np.mean(VALUES), stats.sem(VALUES))
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))


@pytest.mark.parametrize(("right", "n"), [(0, 1), (1, 1), (9, 10), (37, 80)])
def test_proportion_is_that_of_scipy(right: int, n: int) -> None:
    found = proportion(right, n)
    interval = stats.binomtest(right, n).proportion_ci(method="wilson")
    assert (found.n, found.mean, found.std) == (n, right / n, None)
    assert (found.low, found.high) == (pytest.approx(interval.low), pytest.approx(interval.high))


def test_estimate_does_not_depend_on_the_order() -> None:
    assert estimate(VALUES) == estimate(VALUES[::-1])


def test_one_fold_has_no_spread() -> None:
    found = estimate([0.7])
    assert (found.mean, found.std, found.low, found.high) == (0.7, None, None, None)


@pytest.fixture
def answers() -> tuple[list[str], list[str]]:
    names, draws = list("abcd"), np.random.default_rng(0)
    labels = draws.choice(names[:3], 60).tolist()  # d is only answered
    predicted = [label if draws.random() < 0.6 else str(draws.choice(names)) for label in labels]
    return labels, predicted


def test_scores_are_those_of_scikit_learn(answers: tuple[list[str], list[str]]) -> None:
    labels, predicted = answers
    matrix = confusion_matrix(labels, predicted, list("abcde"))  # e does not occur at all
    np.testing.assert_array_equal(
        matrix, metrics.confusion_matrix(labels, predicted, labels=list("abcde"))
    )
    found = scores(matrix)
    seen = metrics.recall_score(labels, predicted, labels=list("abc"), average=None)
    assert found.accuracy == pytest.approx(metrics.accuracy_score(labels, predicted))
    assert found.balanced_accuracy == pytest.approx(seen.mean())
    assert found.f1_macro == pytest.approx(metrics.f1_score(labels, predicted, average="macro"))
    assert found.recall == (*map(pytest.approx, seen), None, None)


def test_without_shared_training_data_it_is_the_paired_t_test() -> None:
    found, p = corrected_resampled_t(DIFFERENCES, ratio=0)
    oracle = stats.ttest_rel(VALUES, OTHERS)
    low, high = oracle.confidence_interval(0.95)
    assert p == pytest.approx(oracle.pvalue)
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))


def test_shared_training_data_widen_it_as_nadeau_and_bengio_say() -> None:
    found, p = corrected_resampled_t(DIFFERENCES, ratio=1 / 8)
    mean, variance = np.mean(DIFFERENCES), np.var(DIFFERENCES, ddof=1)
    t = mean / math.sqrt((1 / 10 + 1 / 8) * variance)
    assert p == pytest.approx(2 * stats.t.sf(abs(t), 9))
    plain, _ = corrected_resampled_t(DIFFERENCES, ratio=0)
    assert found.low is not None
    assert plain.low is not None
    # Half as wide again: the square root of (1 / 10 + 1 / 8) / (1 / 10).
    assert (mean - found.low) / (mean - plain.low) == pytest.approx(1.5)


def test_equal_methods_do_not_differ() -> None:
    assert corrected_resampled_t([0.0] * 10, 1 / 8)[1] == 1
    # The same number of answers on each fold, but for rounding: a t-test would be certain.
    found, p = corrected_resampled_t([0.9 - 0.8, 0.8 - 0.7, 0.7 - 0.6], 1 / 8)
    assert (found.low, found.high, p) == (None, None, None)
    assert corrected_resampled_t([0.02], 1 / 8)[1] is None


@pytest.mark.parametrize(("first", "second"), [(0, 0), (1, 0), (3, 9), (7, 7), (0, 20), (400, 450)])
def test_mcnemar_is_the_exact_binomial_test(first: int, second: int) -> None:
    pairs = [(True, False)] * first + [(False, True)] * second + [(True, True)] * 5
    found = mcnemar([a for a, _ in pairs], [b for _, b in pairs])
    oracle = stats.binomtest(first, first + second).pvalue if first + second else 1.0
    assert found == pytest.approx(oracle, rel=1e-9)


def test_mcnemar_of_thousands_of_samples() -> None:
    right = [i % 3 == 0 for i in range(6000)]
    found = mcnemar(right, [not value for value in right])
    assert 0 < found < 1e-100


def test_holm_corrects_in_steps_and_keeps_the_order() -> None:
    # Times 4, 3, 2 and 1 from the smallest on, never below the one before, never above 1.
    assert holm([0.01, 0.04, 0.03, 0.5]) == pytest.approx([0.04, 0.09, 0.09, 0.5])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []
