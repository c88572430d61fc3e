from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from sklearn.manifold import TSNE
from sklearn.metrics import silhouette_score
from threadpoolctl import threadpool_info, threadpool_limits

from callbacks.figures import classification
from callbacks.figures.classification import FeatureMap, lay_out
from callbacks.outputs import Samples
from tests.callbacks.fakes import FaceData, FaceModule, trainer


def samples(numbers: np.ndarray) -> Samples:
    return {"sample_id": numbers, "features": numbers[:, None] * np.ones((1, 3), np.float32)}


def test_groups_stay_groups_and_a_seed_repeats() -> None:
    random = np.random.default_rng(0)
    groups = np.repeat([0, 1, 2], 20)
    features = (8 * random.normal(size=(3, 60))[groups] + random.normal(size=(60, 60))).astype("f4")
    points = lay_out(features, 30.0, seed=0)
    assert points.shape == (60, 2)
    assert silhouette_score(points, groups) > 0.5
    np.testing.assert_array_equal(points, lay_out(features, 30.0, seed=0))


def test_few_samples_are_laid_out_by_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[set[int]] = []

    class Watched(TSNE):
        def fit_transform(self, features: np.ndarray) -> np.ndarray:
            threads.append({pool["num_threads"] for pool in threadpool_info()})
            return features[:, :2]

    monkeypatch.setattr(classification, "TSNE", Watched)
    features = np.random.default_rng(0).normal(size=(61, 8)).astype("f4")
    with threadpool_limits(2):
        lay_out(features[:60], 30.0, seed=0)
        lay_out(features, 30.0, seed=0)
    assert threads == [{1}, {2}]


def test_the_same_samples_however_they_are_dealt_out() -> None:
    callback = FeatureMap(max_samples=10)
    whole = callback.trim(samples(np.arange(100)))
    parts = [callback.trim(samples(np.arange(first, 100, 2))) for first in (0, 1)]
    merged = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    again = callback.trim(merged)
    assert len(whole["sample_id"]) == 10
    assert set(whole["sample_id"]) == set(again["sample_id"])
    np.testing.assert_array_equal(whole["features"][:, 0], whole["sample_id"])


def test_figure_of_a_test_with_few_samples(tmp_path: Path) -> None:
    callback = FeatureMap(max_samples=12)
    trainer(tmp_path, callback).test(FaceModule(), datamodule=FaceData(), verbose=False)
    picture = cv2.imread(str(tmp_path / "figures" / "features.png"))
    assert picture.std() > 5


def test_too_few_to_have_neighbours_is_refused() -> None:
    with pytest.raises(ValueError, match="max_samples of 4 or more"):
        FeatureMap(max_samples=3)
