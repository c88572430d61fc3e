from typing import Any

import numpy as np
import pytest

from datamodules.errors import DatasetError
from datamodules.folds.assignment import (
    Assignment,
    Split,
    assert_disjoint,
    assign,
    split,
    stratified_order,
    subject_folds,
)
from datamodules.index import Index

# 20 people, each with every class, as in SNaP-2DFe.
PEOPLE = [f"S{person:03}" for person in range(20) for _ in range(21)]
CLASSES = [label % 7 for label in range(len(PEOPLE))]


def uneven(seed: int) -> tuple[list[str], list[int]]:
    """People with few and many samples, classes common and rare, as in CK+."""
    rng = np.random.default_rng(seed)
    people = [f"S{person}" for person in range(30) for _ in range(rng.integers(1, 8))]
    return people, rng.choice(4, len(people), p=[0.6, 0.3, 0.08, 0.02]).tolist()


@pytest.mark.parametrize("mode", ["stratified", "stride", "loso"])
@pytest.mark.parametrize("seed", range(5))
def test_nobody_is_in_two_folds_and_no_fold_is_empty(mode: str, seed: int) -> None:
    people, classes = uneven(seed)
    fold_of = subject_folds(people, classes, 7, mode, seed)
    assert {len(set(fold_of[np.array(people) == person])) for person in people} == {1}
    assert np.bincount(fold_of).min() > 0
    assert len(np.bincount(fold_of)) == (30 if mode == "loso" else 7)
    for fold in range(7):
        assert_disjoint(people, split(fold_of, fold))


def test_stratified_folds_have_the_classes_of_the_whole() -> None:
    fold_of = subject_folds(PEOPLE, CLASSES, 10)
    for fold in range(10):
        assert np.bincount(np.array(CLASSES)[fold_of == fold]).tolist() == [6] * 7


def test_stratified_folds_are_more_even_than_chance() -> None:
    people, classes = uneven(0)
    names = sorted(set(people))

    def spread(fold_of: np.ndarray) -> float:
        counts = np.array(
            [np.bincount(np.array(classes)[fold_of == f], minlength=4) for f in range(5)]
        )
        return float((counts / counts.sum(axis=0)).std(axis=0).mean())

    chance = []
    for seed in range(20):
        drawn = dict(zip(names, np.random.default_rng(seed).permutation(30) % 5, strict=True))
        chance.append(spread(np.array([drawn[person] for person in people])))
    assert spread(subject_folds(people, classes, 5)) < min(chance)


def test_stratified_folds_depend_on_the_seed_and_not_on_the_order() -> None:
    people, classes = uneven(0)
    fold_of = subject_folds(people, classes, 5, seed=1)
    np.testing.assert_array_equal(subject_folds(people, classes, 5, seed=1), fold_of)
    assert (subject_folds(people, classes, 5, seed=2) != fold_of).any()
    order = np.random.default_rng(0).permutation(len(people))
    shuffled = subject_folds([people[i] for i in order], [classes[i] for i in order], 5, seed=1)
    np.testing.assert_array_equal(shuffled, fold_of[order])


def test_classes_rarer_than_folds_are_no_obstacle() -> None:
    fold_of = subject_folds(range(10), list(range(10)), 10)
    assert sorted(fold_of) == list(range(10))


def test_stride_takes_every_nth_of_the_people_in_natural_order() -> None:
    people = ["S10", "S9", "S100", "S9", "S1", "S11", "S2"]
    assert subject_folds(people, [0] * 7, 3, "stride").tolist() == [0, 2, 2, 2, 0, 1, 1]


def test_loso_tests_one_person_a_fold() -> None:
    assert subject_folds([7, 7, 3, 5], [0] * 4, 10, "loso").tolist() == [2, 2, 0, 1]


@pytest.mark.parametrize(
    ("people", "folds", "mode", "message"),
    [
        (5, 2, "stratified", "folds must be at least 3 .* but is 2"),
        (5, 10, "stratified", "10 folds but only 5 subjects; set folds to at most 5"),
        (1, 3, "stride", "at least 3 subjects .* but got 1"),
        (2, 3, "loso", "at least 3 subjects .* but got 2"),
    ],
)
def test_too_few_people_or_folds_are_said_plainly(
    people: int, folds: int, mode: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        subject_folds(list(range(people)) * 4, [0] * people * 4, folds, mode)


def test_test_is_the_fold_and_validation_the_next() -> None:
    fold_of = np.array([0, 1, 2, 3, 0, 1])
    parts = split(fold_of, 3)
    assert [part.tolist() for part in parts] == [[1, 2, 5], [0, 4], [3]]


@pytest.mark.parametrize("fold", [-1, 4])
def test_a_fold_that_is_not_there_is_an_error(fold: int) -> None:
    with pytest.raises(ValueError, match=f"from 0 to 3, but is {fold}"):
        split(np.arange(4), fold)


def test_two_folds_leave_nothing_to_train() -> None:
    with pytest.raises(ValueError, match="leaves no sample to train"):
        split(np.array([0, 1]), 0)


@pytest.mark.parametrize(
    ("parts", "where"),
    [(([0], [1], [2]), "train and in test"), (([0, 2], [1], [3]), "val and in test")],
)
def test_a_person_on_two_sides_is_named(parts: tuple[list[int], ...], where: str) -> None:
    people = ["S2", "S1", "S2", "S1"]
    with pytest.raises(DatasetError, match=f"Subjects S[12] are both in {where}"):
        assert_disjoint(people, Split(*map(np.array, parts)))


SOME = np.repeat([0, 1, 2, -1], [60, 30, 9, 5])


def test_every_beginning_has_the_classes_of_the_whole() -> None:
    classes = np.random.default_rng(0).permutation(SOME)
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


def index(count: int, **columns: Any) -> Index:
    names = [str(i) for i in range(count)]
    pixels = np.zeros((count, 2, 2), np.uint8)
    return Index(names, np.zeros(count, np.int8), pixels=pixels, **columns)


def assigned(found: Index, classes: np.ndarray, **kwargs: Any) -> Assignment:
    given = {"val_share": 0.25, "fold": 0, "folds": None, "fold_mode": "stratified", "seed": 0}
    return assign(found, classes, **{**given, **kwargs})


def test_samples_of_nobody_known_are_dealt_out_class_by_class() -> None:
    classes = np.repeat([0, 1, -1], [50, 20, 7])
    found = assigned(index(77), classes, folds=5)
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
    parts = assigned(found, classes).parts
    assert [part.tolist() for part in parts] == [[*range(i, i + 10)] for i in (0, 10, 20)]
    assert found.people_in(parts.train) == ["S0", "S1", "S2", "S3"]
    folded = assigned(found, classes, folds=7)
    assert folded.num_folds == 7
    assert folded.notes == ("the official parts are not used: 7 folds were asked for",)


def test_a_cut_validation_part_is_one_fold_of_the_people_who_train() -> None:
    rng = np.random.default_rng(0)
    people = np.array([f"S{person}" for person in range(12) for _ in range(rng.integers(2, 6))])
    classes = rng.integers(0, 3, len(people))
    splits = ["train"] * len(people)
    found = assigned(index(len(people), splits=splits, subjects=people.tolist()), classes)
    held_out = set(people[found.parts.val])
    assert not held_out & set(people[found.parts.train])
    assert len(held_out) == 3
    assert "of 3 people validate" in found.notes[0]


def test_without_labels_there_is_nothing_to_split() -> None:
    found = assigned(index(5), np.full(5, -1))
    assert [len(part) for part in found.parts] == [0, 0, 0]
    assert found.unlabelled.tolist() == list(range(5))


def test_number_of_folds_is_ten_or_the_number_of_people() -> None:
    for people, folds in ((4, 4), (12, 10)):
        subjects = [f"S{i % people}" for i in range(24)]
        found = assigned(index(24, subjects=subjects), np.zeros(24, np.int64))
        assert found.num_folds == folds


def test_the_own_protocol_is_used_unless_folds_are_asked_for() -> None:
    subjects = [f"S{i}" for i in range(5) for _ in range(2)]
    classes = np.array([0, 1] * 4 + [0, -1])
    folds = np.array([1, 1, 0, 0, 2, 2, -1, -1, -1, 2])
    own = assigned(index(10, subjects=subjects, folds=folds), classes)
    assert own.fold_of.tolist() == [1, 1, 0, 0, 2, 2, -1, -1, -1, -1]
    assert [part.tolist() for part in own.parts] == [[4, 5], [0, 1], [2, 3]]
    made = assigned(index(10, subjects=subjects, folds=folds), classes, folds=5)
    assert (made.fold_of >= 0).tolist() == (classes >= 0).tolist()
    folds[0] = 0
    with pytest.raises(DatasetError, match="Subjects S0 are both in"):
        assigned(index(10, subjects=subjects, folds=folds), classes)
