"""Folds and parts in which no person is on two sides.

Official parts of a data set are kept. Otherwise test is fold k, validation is fold k + 1, and the
rest trains.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from datamodules.errors import DatasetError, UserError
from datamodules.index import PARTS, Index, in_natural_order

FoldMode = Literal["stratified", "stride", "loso"]

Indices = NDArray[np.int64]

_MOST_FOLDS = 10  # unless more are asked for


class Split(NamedTuple):
    """Which samples train, validate and test, as ascending int64 indices."""

    train: Indices
    val: Indices
    test: Indices


@dataclass(frozen=True)
class Assignment:
    """Which samples of a data set train, validate and test.

    Attributes:
        parts: Rows of the labelled samples of each part; parts may be empty.
        unlabelled: int64 rows of samples without a label that may be trained on: official training
            samples, or all where there are no official parts, but of nobody who is held out.
        fold_of: int64 [N], the fold that tests each sample, -1 for those in no part; with official
            parts 0 for train, 1 for val and 2 for test.
        num_folds: Number of folds; 1 with official parts.
        notes: How the data were split, for the log.
    """

    parts: Split
    unlabelled: Indices
    fold_of: Indices
    num_folds: int
    notes: tuple[str, ...]


def assign(
    index: Index,
    classes: Indices,
    *,
    fold: int,
    folds: int | None,
    fold_mode: FoldMode,
    seed: int,
    val_share: float = 0.1,
) -> Assignment:
    """Assign the samples of a data set to parts such that nobody is in two of them.

    Args:
        index: The data set.
        classes: int64 [N], class of each sample, -1 for what is in no part.
        fold: The fold to test, where there are folds.
        folds: Number of folds; None takes the official parts or the own protocol of the data set
            where it has some, else 10, or one a person where those are fewer.
        fold_mode: How folds are made, see `subject_folds`; without people samples are dealt out
            class by class.
        seed: Seed of folds and validation part.
        val_share: Part of the training samples that validates where no official part does.

    Raises:
        DatasetError: If a person is in two official parts or in two folds of the protocol.
        UserError: If there are too few people, or no such fold.
    """
    used = np.flatnonzero(classes >= 0)
    fold_of = np.full(len(classes), -1, np.int64)
    notes: list[str] = []
    num_folds = 1
    if index.splits is not None and folds is None:
        if fold != 0:
            raise UserError(
                f"data.fold is {fold}, but this data set has official parts; give data.folds to "
                "make folds of it, or leave data.fold at 0."
            )
        number = {part: i for i, part in enumerate(PARTS)}
        fold_of[used] = np.array([number[part] for part in index.splits], np.int64)[used]
        if len(used) and not (fold_of == 1).any():
            notes.append(_cut_validation(index, classes, fold_of, val_share, seed))
        parts = Split(*(np.flatnonzero(fold_of == i) for i in range(3)))
    elif len(used) == 0:
        parts = Split(used, used, used)
    else:
        if index.folds is not None and folds is None:
            fold_of[used] = index.folds[used]
            used = np.flatnonzero(fold_of >= 0)
        else:
            fold_of[used] = _make_folds(index, classes, used, folds, fold_mode, seed)
        num_folds = int(fold_of.max()) + 1
        parts = Split(*(used[part] for part in split(fold_of[used], fold)))
        if index.splits is not None:
            notes.append(f"the official parts are not used: {num_folds} folds were asked for")
        if index.subjects is None:
            notes.append("nobody knows who the people are: the folds may share them")
    if index.subjects is not None:
        assert_disjoint(index.subjects, parts)
    return Assignment(parts, _unlabelled(index, classes, parts), fold_of, num_folds, tuple(notes))


def check_folds(fold: int, folds: int | None) -> None:
    """Refuse at once what no data could be split into.

    Raises:
        UserError: If there are too few folds, or no such fold.
    """
    if folds is not None and folds < 3:
        raise UserError(
            f"folds must be at least 3 (one to test, one to validate, the rest to train), "
            f"but is {folds}."
        )
    if fold < 0 or (folds is not None and fold >= folds):
        last = "the number of folds less 1" if folds is None else folds - 1
        raise UserError(f"fold must be from 0 to {last}, but is {fold}.")


def subject_folds(
    subjects: Sequence[str | int],
    labels: Sequence[int],
    folds: int,
    mode: FoldMode = "stratified",
    seed: int = 0,
) -> Indices:
    """Assign each sample to a fold such that all samples of a person share one.

    Args:
        subjects: Person of each of the N samples.
        labels: Class of each sample.
        folds: Number of folds, at least 3: one tests, one validates, and at least one trains.
            Not read in mode loso.
        mode: stratified: each fold has about the classes of the whole, shuffled by the seed;
            stride: persons in order of their names, every `folds`-th into the same fold, which
            is the rule of the public lists of CK+ and Oulu-CASIA; loso: one person a fold.
        seed: Seed of mode stratified.

    Returns:
        int64 [N], fold of each sample from 0.

    Raises:
        UserError: If there are too few folds, or fewer persons than folds.

    Reference:
        scikit-learn's StratifiedGroupKFold. Emotion-FAN, CK+_10-fold_sample_IDascendorder_step10.
    """
    people = in_natural_order(map(str, subjects))
    if mode == "loso":
        folds = len(people)
    if len(people) < 3:
        raise UserError(
            f"Folds that share no subject need at least 3 subjects (one to test, one to validate, "
            f"one to train), but got {len(people)}."
        )
    check_folds(0, folds)
    if folds > len(people):
        raise UserError(
            f"Got {folds} folds but only {len(people)} subjects; set folds to at most "
            f"{len(people)}, or to null to have it chosen."
        )
    rank = {person: number for number, person in enumerate(people)}
    person_of = np.array([rank[str(subject)] for subject in subjects], np.int64)
    if mode != "stratified":
        return person_of % folds
    return _stratified(person_of, np.asarray(labels), folds, seed)


def _stratified(people: NDArray[Any], labels: Indices, folds: int, seed: int) -> Indices:
    """Deal people out to folds that have about the classes of the whole."""
    # Late: it takes a second, and data with official parts or a protocol need it not.
    from sklearn.model_selection import StratifiedGroupKFold

    # scikit-learn refuses classes that are all smaller than the number of folds; there is nothing
    # to stratify then, and one class for all still balances the sizes.
    if np.bincount(labels).max() < folds:
        labels = np.zeros_like(labels)
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    fold_of = np.empty(len(people), np.int64)
    with warnings.catch_warnings():
        # A class with fewer samples than folds is missing from some; no rule can change that.
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        for fold, (_, test) in enumerate(splitter.split(people, labels, people)):
            fold_of[test] = fold
    return fold_of


def split(fold_of: Indices, fold: int) -> Split:
    """Split samples by their folds [N]: test is `fold`, validation the one after it.

    Raises:
        UserError: If there is no such fold, or nothing is left to train on.
    """
    folds = int(fold_of.max()) + 1
    if not 0 <= fold < folds:
        raise UserError(f"fold must be from 0 to {folds - 1}, but is {fold}.")
    validation = (fold + 1) % folds
    held_out = (fold_of == fold) | (fold_of == validation)
    parts = Split(*(np.flatnonzero(p) for p in (~held_out, fold_of == validation, fold_of == fold)))
    for name, part in zip(Split._fields, parts, strict=True):
        if len(part) == 0:
            raise UserError(f"Fold {fold} of {folds} leaves no sample to {name}; use more folds.")
    return parts


def assert_disjoint(subjects: Sequence[str | int], parts: Split) -> None:
    """Make sure that nobody is on two sides of a split.

    Raises:
        DatasetError: If a person is, naming whom and where.
    """
    people = {
        name: {str(subjects[index]) for index in part}
        for name, part in zip(Split._fields, parts, strict=True)
    }
    for one, other in (("train", "test"), ("train", "val"), ("val", "test")):
        if shared := in_natural_order(people[one] & people[other]):
            raise DatasetError(
                f"Subjects {', '.join(shared)} are both in {one} and in {other}; "
                "a protocol must keep all sequences of a person in one fold."
            )


def stratified_order(classes: Indices, seed: int) -> Indices:
    """Order samples such that each beginning has about the classes of the whole.

    A beginning that is at least as long as there are classes has a sample of each, and the last
    samples leave one of each. The order is a pure function of classes [N] and seed.
    """
    by_class = _by_class(classes, seed)
    _, starts, counts = np.unique(classes[by_class], return_index=True, return_counts=True)
    place = np.arange(len(classes)) - np.repeat(starts, counts)
    return by_class[np.argsort(place / np.repeat(counts, counts), kind="stable")]


def _by_class(classes: Indices, seed: int) -> Indices:
    """Order samples by their classes, and by chance within a class."""
    shuffled = np.random.default_rng(seed).permutation(len(classes))
    return np.asarray(shuffled[np.argsort(classes[shuffled], kind="stable")])


def _cut_validation(
    index: Index, classes: Indices, fold_of: Indices, val_share: float, seed: int
) -> str:
    """Move part of the training samples to validation, whole persons where they are known."""
    training = np.flatnonzero(fold_of == 0)
    if index.subjects is None:
        order = training[stratified_order(classes[training], seed)]
        count = round(val_share * len(training))
        fold_of[order[len(order) - count :]] = 1
        return (
            f"no official validation part: {count} training {index.kind}s validate, class by class"
        )
    people = np.array(index.subjects)[training]
    known, groups = len(np.unique(people)), max(2, round(1 / val_share))
    if known < groups:
        raise UserError(
            f"data.val_share {val_share:g} takes one in {groups} people of the training part, "
            f"which has only {known}; use a larger data.val_share."
        )
    chosen = training[_stratified(people, classes[training], groups, seed) == 0]
    fold_of[chosen] = 1
    return (
        f"no official validation part: {len(chosen)} training {index.kind}s of "
        f"{len(index.people_in(chosen))} people validate"
    )


def _make_folds(
    index: Index, classes: Indices, used: Indices, folds: int | None, mode: FoldMode, seed: int
) -> Indices:
    """Assign the labelled samples to folds."""
    if index.subjects is not None:
        people = [index.subjects[i] for i in used]
        wanted = folds or min(_MOST_FOLDS, len(set(people)))
        return subject_folds(people, classes[used].tolist(), wanted, mode, seed)
    wanted = folds or _MOST_FOLDS
    if mode != "stratified" or not 3 <= wanted <= len(used):
        raise UserError(
            f"Without known people, {len(used)} {index.kind}s make 3 to {len(used)} folds of "
            f"data.fold_mode stratified, but got {wanted} folds of mode {mode}."
        )
    result = np.empty(len(used), np.int64)
    result[_by_class(classes[used], seed)] = np.arange(len(used)) % wanted
    return result


def _unlabelled(index: Index, classes: Indices, parts: Split) -> Indices:
    free = classes < 0
    if index.splits is not None:
        free &= np.array(index.splits) == "train"
    if index.subjects is not None:
        held_out = np.concatenate([parts.val, parts.test])
        free &= ~np.isin(index.person_of, index.person_of[held_out])
    return np.flatnonzero(free)
