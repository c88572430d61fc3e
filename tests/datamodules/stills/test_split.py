from __future__ import annotations

import numpy as np
from datamodules.stills.split import people_in, split_faces, stratified_order

from datamodules.index import Index

CLASSES = np.repeat([0, 1, 2, -1], [60, 30, 9, 5])


def test_every_beginning_has_the_classes_of_the_whole() -> None:
    classes = np.random.default_rng(0).permutation(CLASSES)
    order = stratified_order(classes, seed=3)
    assert sorted(order) == list(range(len(classes)))
    for length in (4, 10, 30, 52, 90):
        counts = np.bincount(classes[order[:length]] + 1, minlength=4)
        expected = np.array([5, 60, 30, 9]) * length / len(classes)
        assert (np.abs(counts - expected) <= 1.5).all()
        assert (counts > 0).all()
    assert order.tolist() == stratified_order(classes, seed=3).tolist()
    assert order.tolist() != stratified_order(classes, seed=4).tolist()


def test_the_end_leaves_one_of_each_class() -> None:
    classes = np.array([0] * 20 + [1])
    order = stratified_order(classes, seed=0)
    assert 20 in order[:2]


def index(count: int, **columns: list[str]) -> Index:
    names = [str(i) for i in range(count)]
    pixels = np.zeros((count, 2, 2), np.uint8)
    return Index(names, None, pixels, np.zeros(count, np.int8), **columns)


def cut(found: Index, classes: np.ndarray, **kwargs: object):
    given = {"val_share": 0.25, "fold": 0, "folds": None, "fold_mode": "stratified", "seed": 0}
    return split_faces(found, classes, **{**given, **kwargs})


def test_images_of_nobody_known_are_dealt_out_class_by_class() -> None:
    classes = np.repeat([0, 1, -1], [50, 20, 7])
    found = cut(index(77), classes, folds=5)
    assert found.num_folds == 5
    for fold in range(5):
        assert np.bincount(classes[found.fold_of == fold]).tolist() == [10, 4]
    assert found.fold_of[70:].tolist() == [-1] * 7
    assert found.unlabelled.tolist() == list(range(70, 77))
    assert found.notes == ("nobody knows who the people are: the folds may share them",)


def test_official_parts_are_kept_unless_folds_are_asked_for() -> None:
    classes = np.arange(30) % 3
    splits = ["train"] * 10 + ["val"] * 10 + ["test"] * 10
    people = [f"S{i // 3}" for i in range(9)] + ["S3"] + [f"T{i // 2}" for i in range(20)]
    found = index(30, splits=splits, subjects=people)
    parts = cut(found, classes).parts
    assert [part.tolist() for part in parts] == [[*range(i, i + 10)] for i in (0, 10, 20)]
    assert people_in(found, parts.train) == ["S0", "S1", "S2", "S3"]
    folded = cut(found, classes, folds=7)
    assert folded.num_folds == 7
    assert folded.notes == ("the official parts are not used: 7 folds were asked for",)


def test_without_labels_there_is_nothing_to_split() -> None:
    found = cut(index(5), np.full(5, -1))
    assert [len(part) for part in found.parts] == [0, 0, 0]
    assert found.unlabelled.tolist() == list(range(5))
