"""Which images train, validate and test: official parts, or folds of people."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from datamodules.errors import UserError
from datamodules.files import natural_key
from datamodules.folds import FoldMode, Protocol, Split, assert_disjoint, split, subject_folds
from datamodules.index import PARTS, Index

_MOST_FOLDS = 10


@dataclass(frozen=True)
class FaceSplit:
    """The parts of a data set.

    Attributes:
        parts: int64 rows of the labelled images of each part; parts may be empty.
        unlabelled: int64 rows of images without a label that may be trained on: official training
            images, or all where there are no official parts, but of nobody who is held out.
        fold_of: int64 [N], the fold that tests each image, -1 for those without a label; with
            official parts 0 for train, 1 for val and 2 for test.
        num_folds: Number of folds; 1 with official parts.
        notes: How it was split, for the log.
    """

    parts: Split
    unlabelled: NDArray[np.int64]
    fold_of: NDArray[np.int64]
    num_folds: int
    notes: tuple[str, ...]

    def protocol(self, index: Index, class_names: tuple[str, ...], expressions: str) -> Protocol:
        """Write the assignment down in the form of the protocol files.

        Args:
            index: The data set.
            class_names: Names of the classes.
            expressions: Name of the set of classes.
        """
        used = np.flatnonzero(self.fold_of >= 0).tolist()
        labels = index.classes(expressions)
        return Protocol(
            subjects=tuple(index.subjects[i] if index.subjects else "" for i in used),
            sequences=tuple(index.names[i] for i in used),
            labels=tuple((*class_names, "none")[labels[i]] for i in used),  # -1 picks the last
            fold_of=self.fold_of[used],
        )


def split_faces(
    index: Index,
    classes: NDArray[np.int64],
    *,
    val_share: float,
    fold: int,
    folds: int | None,
    fold_mode: FoldMode,
    seed: int,
) -> FaceSplit:
    """Split a data set.

    Args:
        index: The data set.
        classes: int64 [N], class of each image, -1 for what is in no part.
        val_share: Part of the training images that validates where no official part does.
        fold: The fold to test, where there are folds.
        folds: Number of folds; None takes the official parts where there are some, else 10, or
            one a person where those are fewer.
        fold_mode: How folds are made, see `subject_folds`; without people images are dealt out
            class by class.
        seed: Seed of folds and validation part.

    Returns:
        The parts; nobody is in two of them.

    Raises:
        DatasetError: If a person is in two official parts.
        UserError: If there are too few people, or no such fold.
    """
    used = np.flatnonzero(classes >= 0)
    fold_of = np.full(len(classes), -1, np.int64)
    notes: list[str] = []
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
        num_folds = 1
    elif len(used) == 0:
        parts, num_folds = Split(used, used, used), 1
    else:
        fold_of[used] = _folds(index, classes, used, folds, fold_mode, seed)
        num_folds = int(fold_of.max()) + 1
        parts = Split(*(used[part] for part in split(fold_of[used], fold)))
        if index.splits is not None:
            notes.append(f"the official parts are not used: {num_folds} folds were asked for")
        if index.subjects is None:
            notes.append("nobody knows who the people are: the folds may share them")
    if index.subjects is not None:
        assert_disjoint(index.subjects, parts)
    return FaceSplit(parts, _unlabelled(index, classes, parts), fold_of, num_folds, tuple(notes))


def stratified_order(classes: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """Order samples such that each beginning has about the classes of the whole.

    A beginning that is at least as long as there are classes has a sample of each, and the last
    samples leave one of each.

    Args:
        classes: int64 [N].
        seed: Seed of the order within a class.

    Returns:
        int64 [N], a permutation; a pure function of classes and seed.
    """
    by_class = _by_class(classes, seed)
    _, starts, counts = np.unique(classes[by_class], return_index=True, return_counts=True)
    place = np.arange(len(classes)) - np.repeat(starts, counts)
    return by_class[np.argsort(place / np.repeat(counts, counts), kind="stable")]


def _by_class(classes: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """Order samples by their classes, and by chance within a class."""
    shuffled = np.random.default_rng(seed).permutation(len(classes))
    return np.asarray(shuffled[np.argsort(classes[shuffled], kind="stable")])


def _cut_validation(
    index: Index,
    classes: NDArray[np.int64],
    fold_of: NDArray[np.int64],
    val_share: float,
    seed: int,
) -> str:
    """Move part of the training images to validation, whole persons where they are known."""
    training = np.flatnonzero(fold_of == 0)
    if index.subjects is None:
        order = training[stratified_order(classes[training], seed)]
        count = round(val_share * len(training))
        fold_of[order[len(order) - count :]] = 1
        return f"no official validation part: {count} training images validate, class by class"
    people = np.array([index.subjects[i] for i in training])
    groups = max(2, round(1 / val_share))
    if len(set(people.tolist())) < groups:
        raise UserError(
            f"data.val_share {val_share:g} takes one in {groups} people of the training part, "
            f"which has only {len(set(people.tolist()))}; use a larger data.val_share."
        )
    labels = classes[training]
    if np.bincount(labels).max() < groups:  # scikit-learn refuses; nothing to stratify then
        labels = np.zeros_like(labels)
    splitter = StratifiedGroupKFold(groups, shuffle=True, random_state=seed)
    _, chosen = next(iter(splitter.split(people, labels, people)))
    fold_of[training[chosen]] = 1
    return (
        f"no official validation part: {len(chosen)} training images of "
        f"{len(set(people[chosen].tolist()))} people validate"
    )


def _folds(
    index: Index,
    classes: NDArray[np.int64],
    used: NDArray[np.int64],
    folds: int | None,
    mode: FoldMode,
    seed: int,
) -> NDArray[np.int64]:
    """Assign the labelled images to folds."""
    if index.subjects is not None:
        people = [index.subjects[i] for i in used]
        wanted = folds or min(_MOST_FOLDS, len(set(people)))
        return subject_folds(people, classes[used].tolist(), wanted, mode, seed)
    wanted = folds or _MOST_FOLDS
    if mode != "stratified" or not 3 <= wanted <= len(used):
        raise UserError(
            f"Without known people, {len(used)} images make 3 to {len(used)} folds of "
            f"data.fold_mode stratified, but got {wanted} folds of mode {mode}."
        )
    result = np.empty(len(used), np.int64)
    result[_by_class(classes[used], seed)] = np.arange(len(used)) % wanted
    return result


def _unlabelled(index: Index, classes: NDArray[np.int64], parts: Split) -> NDArray[np.int64]:
    free = classes < 0
    if index.splits is not None:
        free &= np.array([part == "train" for part in index.splits], np.bool_)
    if index.subjects is not None:
        held_out = {index.subjects[i] for part in (parts.val, parts.test) for i in part}
        free &= np.array([who not in held_out for who in index.subjects], np.bool_)
    return np.flatnonzero(free)


def people_in(index: Index, rows: NDArray[np.int64]) -> list[str]:
    """Name the people of some images, in natural order; nobody where they are not known."""
    if index.subjects is None:
        return []
    return sorted({index.subjects[row] for row in rows}, key=natural_key)
