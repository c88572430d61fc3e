from __future__ import annotations

import json

import pytest

from benchmarks import svm


def test_both_searches_are_timed_and_decide_alike() -> None:
    result = svm.measure(quick=True)
    json.dumps(result, allow_nan=False)
    details = result["details"]
    assert result["ratio"] > 0
    assert details["fits"] == 9
    assert details["raw_fits_measured"] == 2
    assert details["decisions_compared"] == pytest.approx(100, abs=4)  # two folds
    assert details["decisions_that_differ"] == 0
    # Better than a guess, and not so easy that parameters would not matter.
    assert 1 / 7 < details["accuracy"] < 1


def test_features_look_like_those_of_a_discriminator() -> None:
    features, labels = svm.make_features(500, 60)
    assert features.shape == (500, 60)
    assert sorted(set(labels.tolist())) == list(range(7))
    assert features.min() < 0 < features.max()
    assert -features.min() < features.max() / 2
