"""A data set as its reader found it: sequences, pairs, classes, people, and their folds."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datamodules.errors import BadSample
from datamodules.files import natural_key
from datamodules.folds import FoldMode, Protocol, Split, assert_disjoint, split, subject_folds
from datamodules.labels import class_index, class_names
from datamodules.motion.pairs import Pairs, make_pairs
from datamodules.recordings import Sequence, SequenceIndex
from datamodules.store.marker import MARKER

_MOST_FOLDS = 10


@dataclass(frozen=True)
class Catalog:
    """Everything about a data set that is known before its images are decoded.

    Args:
        root: Folder below which its files lie.
        sequences: The usable sequences.
        pairs: The pairs of frames; indexes `sequences`.
        expressions: Name of the set of classes.
        classes: int64 [S], class of each sequence, -1 where the set leaves its expression out.
        subjects: Names of the people, in natural order.
        subject_of: int64 [S], index of the person of each sequence.
        colour: Whether any of its images is coloured.
        problems: (path, reason) of what the reader found wrong.
        notes: Remarks of the reader.
    """

    root: Path
    sequences: tuple[Sequence, ...]
    pairs: Pairs
    expressions: str
    classes: NDArray[np.int64]
    subjects: tuple[str, ...]
    subject_of: NDArray[np.int64]
    colour: bool
    problems: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]

    @classmethod
    def make(
        cls, root: Path, index: SequenceIndex, expressions: str, steps: Iterable[int]
    ) -> Catalog:
        """Complete what a reader found.

        Args:
            root: Folder below which the files lie.
            index: What the reader found, with at least one sequence.
            expressions: Name of the set of classes.
            steps: Distances of the frame-to-frame pairs, none for neutral-apex pairs only.
        """
        sequences = tuple(index.sequences)
        subjects = tuple(sorted({s.subject for s in sequences}, key=natural_key))
        position = {subject: number for number, subject in enumerate(subjects)}
        classes = [class_index(s.expression, expressions) for s in sequences]
        return cls(
            root=root,
            sequences=sequences,
            pairs=make_pairs([s.length for s in sequences], tuple(steps)),
            expressions=expressions,
            classes=np.array([-1 if c is None else c for c in classes], np.int64),
            subjects=subjects,
            subject_of=np.array([position[s.subject] for s in sequences], np.int64),
            colour=_is_coloured(sequences),
            problems=tuple(index.problems),
            notes=tuple(index.notes),
        )

    def files(self) -> list[Path]:
        """List the files of all sequences."""
        return [
            f for s in self.sequences for recording in s.recordings() for f in recording.files()
        ]

    def manifest_hash(self) -> str:
        """Fingerprint the data: names and sizes of all files, and the labels; SHA-256."""
        digest = hashlib.sha256()
        for path in sorted(self.files()):
            size = path.stat().st_size if path.exists() else -1
            digest.update(f"{os.path.relpath(path, self.root)}\0{size}\0".encode())
        for sequence in self.sequences:
            digest.update(f"{sequence.name}\0{sequence.expression.name}\0".encode())
        return digest.hexdigest()

    def is_synthetic(self) -> bool:
        """Tell whether the files lie in a tree that was drawn by this project."""
        start = self.sequences[0].frontal.path
        return any((folder / MARKER).exists() for folder in (start, *start.parents))

    def sample_name(self, sample_id: int) -> str:
        """Name a pair: its sequence, and its frames (from 1) unless they are neutral and apex."""
        name = self.sequences[int(self.pairs.sequence[sample_id])].name
        if self.pairs.is_neutral_apex[sample_id]:
            return name
        first, second = (int(frames[sample_id]) + 1 for frames in self.pairs[1:3])
        return f"{name}:{first}-{second}"

    def fold_of(self, folds: int | None, mode: FoldMode, seed: int) -> NDArray[np.int64]:
        """Assign each sequence to the fold that tests it.

        Args:
            folds: Number of folds; None takes the data set's own protocol where it has one, else
                10, or one a subject where those are fewer.
            mode: How folds are made, see `subject_folds`.
            seed: Seed of the assignment.

        Returns:
            int64 [S], -1 for sequences that are in no fold: of other expressions than the
            classes, or not in the protocol.
        """
        result = np.full(len(self.sequences), -1, np.int64)
        own = np.array([-1 if s.fold is None else s.fold for s in self.sequences], np.int64)
        used = self.classes >= 0
        if self.has_protocol() and folds is None:
            result[used] = own[used]
            return result
        people = [self.sequences[i].subject for i in np.flatnonzero(used)]
        wanted = folds or min(_MOST_FOLDS, len(set(people)))
        labels = self.classes[used].tolist()
        result[used] = subject_folds(people, labels, wanted, mode, seed)
        return result

    def has_protocol(self) -> bool:
        """Tell whether the data set brings its own folds."""
        return any(sequence.fold is not None for sequence in self.sequences)

    def split(self, fold_of: NDArray[np.int64], fold: int) -> Split:
        """Split the sequences, and make sure that nobody is on two sides.

        Args:
            fold_of: int64 [S], as `fold_of` gives it.
            fold: The fold to test.

        Returns:
            Indices of sequences.
        """
        used = np.flatnonzero(fold_of >= 0)
        train, val, test = (used[part] for part in split(fold_of[used], fold))
        parts = Split(train, val, test)
        assert_disjoint([sequence.subject for sequence in self.sequences], parts)
        return parts

    def subjects_in(self, part: NDArray[np.int64]) -> list[str]:
        """Name the people of some sequences, in natural order."""
        return [self.subjects[i] for i in np.unique(self.subject_of[part])]

    def protocol(self, fold_of: NDArray[np.int64]) -> Protocol:
        """Write folds down in the form of the protocol files."""
        used = np.flatnonzero(fold_of >= 0).tolist()
        chosen = [self.sequences[i] for i in used]
        return Protocol(
            subjects=tuple(s.subject for s in chosen),
            sequences=tuple(s.name.partition("/")[2] for s in chosen),
            labels=tuple(s.expression.name.lower() for s in chosen),
            fold_of=fold_of[used],
        )

    def class_counts(self, part: NDArray[np.int64]) -> str:
        """Count the sequences of each class, as a text."""
        counts = Counter(self.classes[part].tolist())
        names = class_names(self.expressions)
        return ", ".join(f"{name} {counts[number]}" for number, name in enumerate(names))


def _is_coloured(sequences: tuple[Sequence, ...]) -> bool:
    """Look at one frame of each person: cameras and scans differ between people, not within."""
    seen = set()
    for sequence in sequences:
        if sequence.subject in seen:
            continue
        seen.add(sequence.subject)
        try:
            frame = sequence.frontal.reader(colour=True).read(0)
        except BadSample:
            continue  # the cache will name it
        if (frame[..., :1] != frame[..., 1:]).any():
            return True
    return False
