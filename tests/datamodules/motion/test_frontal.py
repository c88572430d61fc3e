from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from datamodules.motion.frontal import choose_faces, face_batches
from datamodules.store.cache import build_cache
from datamodules.store.rows import ArraySpec


def test_neutral_faces_fill_up_to_the_mean_class() -> None:
    classes = np.array([1, 1, 2, 2, 1, 2, 0, 1])
    rows = np.arange(10, 18)
    chosen, is_apex, labels = choose_faces(rows, classes, neutral=0, num_classes=3)
    # 7 expressive faces in 2 classes: 3 neutral are wanted, 1 is there.
    assert len(chosen) == 10
    assert is_apex.tolist() == [True] * 8 + [False] * 2
    np.testing.assert_array_equal(chosen[:8], rows)
    np.testing.assert_array_equal(labels, [*classes, 0, 0])
    assert 16 not in chosen[8:]  # a neutral recording's first frame adds nothing


def test_without_the_class_neutral_nothing_is_added() -> None:
    rows, classes = np.arange(4), np.array([0, 1, 1, 0])
    chosen, is_apex, labels = choose_faces(rows, classes, neutral=None, num_classes=2)
    np.testing.assert_array_equal(chosen, rows)
    np.testing.assert_array_equal(labels, classes)
    assert is_apex.all()


def test_batches_hold_the_right_faces_in_an_order_of_the_seed(tmp_path: Path) -> None:
    def compute(row: int) -> dict[str, np.ndarray]:
        face = np.full((1, 2, 2), row, np.uint8)
        return {"apex": face, "neutral": face + np.uint8(100)}

    specs = {name: ArraySpec((1, 2, 2), "uint8") for name in ("apex", "neutral")}
    cache = build_cache(tmp_path, {}, 6, specs, compute, workers=1)
    rows, is_apex = np.array([0, 1, 2, 3, 4, 1]), np.array([True] * 5 + [False])
    classes = np.array([5, 6, 7, 8, 9, 0])

    def read(seed: int) -> list[tuple[int, int]]:
        found = []
        for faces, labels in face_batches(
            cache, rows, is_apex, classes, batch_size=4, seed=(1, seed)
        ):
            assert faces.shape[1:] == (3, 2, 2)
            assert faces.dtype == torch.float32
            values = (faces[:, 0, 0, 0] * 255).round().int().tolist()
            found += list(zip(values, labels.tolist(), strict=True))
        return found

    first = read(0)
    assert sorted(first) == [(0, 5), (1, 6), (2, 7), (3, 8), (4, 9), (101, 0)]
    assert read(0) == first
    assert read(1) != first
