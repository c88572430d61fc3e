"""Folds in which no person is on two sides, and the protocol files that keep them.

Test is fold k, validation is fold k + 1, and the rest trains.
"""

from __future__ import annotations

import hashlib
import os
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from datamodules.errors import DatasetError, UserError

FoldMode = Literal["stratified", "stride", "loso"]

Indices = NDArray[np.int64]


class Split(NamedTuple):
    """Which samples train, validate and test, as ascending int64 indices."""

    train: Indices
    val: Indices
    test: Indices


@dataclass(frozen=True)
class Protocol:
    """The fold in which each sequence is tested.

    Attributes:
        subjects: Person of each sequence.
        sequences: Name of each sequence, unique to its subject.
        labels: Label of each sequence, as its data set writes it.
        fold_of: int64 [N], fold of each sequence from 0.
    """

    subjects: tuple[str, ...]
    sequences: tuple[str, ...]
    labels: tuple[str, ...]
    fold_of: Indices


def _natural(subject: str | int) -> tuple[tuple[int, str], ...]:
    """Sort key by which S9 comes before S10."""
    return tuple(
        (int(part), "") if part.isdigit() else (-1, part)
        for part in re.findall(r"\d+|\D+", str(subject))
    )


def check_folds(fold: int, folds: int | None) -> None:
    """Refuse at once what no data could be split into.

    Args:
        fold: The fold to test.
        folds: Number of folds; None where the data decide.

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
    people = sorted(set(subjects), key=_natural)
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
    person_of = np.array([rank[subject] for subject in subjects], np.int64)
    if mode != "stratified":
        return person_of % folds
    return _stratified(person_of, np.asarray(labels), folds, seed)


def _stratified(person_of: Indices, labels: NDArray[np.int64], folds: int, seed: int) -> Indices:
    # scikit-learn refuses classes that are all smaller than the number of folds; there is nothing
    # to stratify then, and one class for all still balances the sizes.
    if np.bincount(labels).max() < folds:
        labels = np.zeros_like(labels)
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    fold_of = np.empty(len(person_of), np.int64)
    with warnings.catch_warnings():
        # A class with fewer samples than folds is missing from some; no rule can change that.
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        for fold, (_, test) in enumerate(splitter.split(person_of, labels, person_of)):
            fold_of[test] = fold
    return fold_of


def split(fold_of: Indices, fold: int) -> Split:
    """Split samples by their folds: test is `fold`, validation the one after it.

    Args:
        fold_of: int64 [N], fold of each sample from 0.
        fold: The fold to test.

    Returns:
        The indices of each part.

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

    Args:
        subjects: Person of each sample.
        parts: The split of the samples.

    Raises:
        DatasetError: If a person is, naming whom and where.
    """
    people = {
        name: {str(subjects[index]) for index in part}
        for name, part in zip(Split._fields, parts, strict=True)
    }
    for one, other in (("train", "test"), ("train", "val"), ("val", "test")):
        if shared := sorted(people[one] & people[other], key=_natural):
            raise DatasetError(
                f"Subjects {', '.join(shared)} are both in {one} and in {other}; "
                "a protocol must keep all sequences of a person in one fold."
            )


def read_protocol(path: Path) -> Protocol:
    """Read a protocol file.

    A line reads `sub_id;seq_id;label;Fold 1;...;Fold N`, where 0 means that the sequence trains
    in that fold and anything else that it is tested. A header, a `;` at the end of each line, a
    byte order mark and a missing last newline are all accepted, and zeros that a spreadsheet has
    stripped from a sequence's number are put back.

    Args:
        path: The CSV file.

    Returns:
        The protocol.

    Raises:
        DatasetError: If the file cannot be read, or does not test each sequence exactly once.
    """
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"The protocol {path} cannot be read: {error}.") from error
    keys: dict[tuple[str, str], tuple[str, int]] = {}
    width = 0
    for number, line in enumerate(lines, start=1):
        cells = [cell.strip() for cell in line.strip().removesuffix(";").split(";")]
        if cells == [""] or cells[0].lower() in ("subject", "sub_id"):
            continue
        where = f"Line {number} of {path}"
        width = width or len(cells)
        if len(cells) != width or width < 4:
            raise DatasetError(
                f"{where} has {len(cells)} cells; expected a subject, a sequence, a label and a "
                "cell for each fold, the same number on all lines."
            )
        subject, sequence, label, *marks = cells
        tested = [fold for fold, mark in enumerate(marks) if mark != "0"]
        if len(tested) != 1:
            raise DatasetError(
                f"{where} tests its sequence in {len(tested)} folds; expected exactly one cell "
                "that is not 0."
            )
        key = (subject, sequence.zfill(3))
        if key in keys:
            raise DatasetError(f"{where} repeats the sequence {'/'.join(key)}.")
        keys[key] = (label, tested[0])
    if not keys:
        raise DatasetError(f"The protocol {path} has no sequences.")
    return Protocol(
        subjects=tuple(subject for subject, _ in keys),
        sequences=tuple(sequence for _, sequence in keys),
        labels=tuple(label for label, _ in keys.values()),
        fold_of=np.array([fold for _, fold in keys.values()], np.int64),
    )


def write_protocol(path: Path, protocol: Protocol) -> None:
    """Write a protocol file that `read_protocol` and the published code read.

    Args:
        path: The CSV file; it is replaced as a whole or not at all.
        protocol: The protocol.
    """
    folds = int(protocol.fold_of.max()) + 1
    header = ["sub_id", "seq_id", "label", *(f"Fold {fold + 1}" for fold in range(folds))]
    lines = [";".join(header)]
    columns = (protocol.subjects, protocol.sequences, protocol.labels, protocol.fold_of.tolist())
    for subject, sequence, label, tested in zip(*columns, strict=True):
        marks = ("1" if fold == tested else "0" for fold in range(folds))
        lines.append(";".join([subject, sequence, label, *marks]))
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    temporary.write_text("\n".join(lines) + "\n", "utf-8")
    temporary.replace(path)


def folds_hash(protocol: Protocol) -> str:
    """Fingerprint the assignment of sequences to folds, whatever their order.

    Args:
        protocol: The protocol.

    Returns:
        SHA-256 in hexadecimal.
    """
    columns = (protocol.subjects, protocol.sequences, protocol.labels, protocol.fold_of.tolist())
    rows = sorted(";".join(map(str, row)) for row in zip(*columns, strict=True))
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()
