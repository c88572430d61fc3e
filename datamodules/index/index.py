"""What a reader finds in a data set: one row a sample, column by column."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datamodules.errors import DatasetError
from datamodules.files import is_synthetic, name_others, natural_key
from datamodules.index.columns import Paths, Texts
from datamodules.labels import ACTION_UNITS, CLASS_SETS, Expression, class_index
from datamodules.recordings import Recording, Video

PARTS = ("train", "val", "test")
_SPARE = 20_000  # files looked at beside those read: a root may lie above other data sets


@dataclass(frozen=True)
class Index:
    """The samples of a data set; every column has a value for each of the N samples.

    A sample is a still image, in a file or as pixels, or a sequence of frames from the neutral
    face to the apex of an expression, in one recording or in several synchronous ones.

    Args:
        names: Unique names, as people see them, e.g. ``train_00001`` or ``S005/001``.
        expressions: int8 [N], canonical expressions, -1 for a sample without one.
        files: Image files, or the films of which `frames` are the images.
        frames: int64 [N], the frame of each file from 0, -1 for an image file; None where all
            files are images.
        pixels: uint8 [N, H, W] grey images of a data set that has no image files (FER2013's CSV).
        recordings: The recordings of each sequence: the one that sees the face from the front, and
            where there is one the one that sees the head move.
        lengths: int64 [N], frames of each sequence up to the apex, that one included.
        subjects: Person of each sample; None where nobody knows.
        splits: Official part of each sample: train, val or test; None where folds decide.
        folds: int64 [N], the fold in which the data set's own protocol tests a sample, -1 for
            those that the protocol leaves out; None where there is no protocol.
        votes: float32 [N, 8], share of the votes for each expression in canonical order; rows sum
            to 1, or to 0 where nobody voted.
        action_units: int8 [N, 14], 1 where an Action Unit is present, in the order of
            `labels.ACTION_UNITS`.
        boxes: int64 [N, 4], where the face lies in its file: x, y, width, height in pixels; None
            for the whole image, or for a face still to be detected.
        first_frames: The first frame of the recording that each file is a frame of: where no face
            is found in the file, it is where one is found there.
        subsets: bool [N] by the names of test lists.
        problems: (path, reason) of unusable files and rows.
        left_out: Files, and folders of them, that the reader found and that are left out by a
            choice, such as the views of other cameras. What is in none of files, problems and this
            is said to be not read.
        notes: Remarks for the log: what was kept, dropped and tied, counts found against counts
            published.

    Raises:
        ValueError: If columns do not fit together; that is a mistake of the reader.
        DatasetError: If two samples have one name.
    """

    names: Sequence[str]
    expressions: NDArray[np.int8]
    files: Sequence[Path] | None = None
    frames: NDArray[np.int64] | None = None
    pixels: NDArray[np.uint8] | None = None
    recordings: list[tuple[Recording, ...]] | None = None
    lengths: NDArray[np.int64] | None = None
    subjects: Sequence[str] | None = None
    splits: Sequence[str] | None = None
    folds: NDArray[np.int64] | None = None
    votes: NDArray[np.float32] | None = None
    action_units: NDArray[np.int8] | None = None
    boxes: NDArray[np.int64] | None = None
    first_frames: Sequence[Path] | None = None
    subsets: dict[str, NDArray[np.bool_]] = field(default_factory=dict)
    problems: Sequence[tuple[str | Path, str]] = field(default_factory=list)
    left_out: Sequence[str | Path] = field(default_factory=list)
    notes: Sequence[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        count = len(self.names)
        if sum(c is not None for c in (self.files, self.pixels, self.recordings)) != 1:
            raise ValueError("An index needs files, pixels or recordings, and exactly one of them.")
        if (self.recordings is None) != (self.lengths is None):
            raise ValueError("Recordings and their lengths belong together.")
        picture = () if self.pixels is None else self.pixels.shape[1:]
        columns: dict[str, tuple[Any, tuple[int, ...]]] = {  # and the shape of each value
            "expressions": (self.expressions, ()),
            "files": (self.files, ()),
            "frames": (self.frames, ()),
            "pixels": (self.pixels, picture),
            "recordings": (self.recordings, ()),
            "lengths": (self.lengths, ()),
            "subjects": (self.subjects, ()),
            "splits": (self.splits, ()),
            "folds": (self.folds, ()),
            "votes": (self.votes, (len(Expression),)),
            "action_units": (self.action_units, (len(ACTION_UNITS),)),
            "boxes": (self.boxes, (4,)),
            "first_frames": (self.first_frames, ()),
            **{f"subsets[{name!r}]": (mask, ()) for name, mask in self.subsets.items()},
        }
        for name, (column, shape) in columns.items():
            if column is None:
                continue
            found = column.shape if isinstance(column, np.ndarray) else (len(column),)
            if found != (count, *shape):
                raise ValueError(f"{name} must be of shape {(count, *shape)}, but is {found}.")
        if len(set(self.names)) != count:
            name = next(name for name, number in Counter(self.names).items() if number > 1)
            rows = [row for row, other in enumerate(self.names) if other == name]
            files = ", ".join(str(file) for row in rows for file in self.files_of(row)[:1])
            raise DatasetError(
                f"{len(rows)} samples are called {name} ({files or 'rows of a file'}), so nobody "
                "knows which one is meant: remove all but one."
            )
        if unknown := set(self.splits or ()) - set(PARTS):
            raise ValueError(f"A split must be one of {', '.join(PARTS)}, but got {unknown}.")
        self._compact()

    def _compact(self) -> None:
        """Keep a million rows in little memory: readers give plain lists."""
        columns: dict[str, Any] = {"names": Texts(self.names)}
        for name in ("files", "first_frames"):
            if (paths := getattr(self, name)) is not None:
                columns[name] = Paths(paths)
        for name in ("subjects", "splits"):
            if (column := getattr(self, name)) is not None:
                known: dict[str, str] = {}  # each text once, however often it comes
                columns[name] = [known.setdefault(text, text) for text in column]
        for name, column in columns.items():
            object.__setattr__(self, name, column)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def kind(self) -> str:
        """What a sample is, for a message: image or sequence."""
        return "image" if self.recordings is None else "sequence"

    @property
    def frame_counts(self) -> list[int]:
        """Frames of each sequence up to its apex; none of still images."""
        return [] if self.lengths is None else self.lengths.tolist()

    def classes(self, expressions: str) -> NDArray[np.int64]:
        """Map expressions to class indices of a set: int64 [N], -1 for samples without one."""
        indices = [class_index(expression, expressions) for expression in Expression]
        table = np.array([*(-1 if i is None else i for i in indices), -1], np.int64)
        return table[self.expressions]  # -1 picks the last entry

    def class_votes(self, expressions: str) -> NDArray[np.float32] | None:
        """Share the votes out over the classes of a set.

        Returns:
            float32 [N, K]; rows sum to 1, or to 0 for samples without a label. Where nobody voted
            for a class of the set, the label alone counts. None for data without votes.
        """
        if self.votes is None:
            return None
        classes = self.classes(expressions)
        chosen = self.votes[:, list(CLASS_SETS[expressions])].astype(np.float32)
        chosen[classes < 0] = 0
        total = chosen.sum(axis=1)
        lost = np.flatnonzero((classes >= 0) & (total == 0))
        chosen[lost, classes[lost]] = 1
        total[lost] = 1
        return np.asarray(chosen / np.maximum(total, np.finfo(np.float32).tiny)[:, None])

    @cached_property
    def people(self) -> tuple[str, ...]:
        """Names of all people in natural order; nobody where they are not known."""
        return tuple(in_natural_order(self.subjects or ()))

    @cached_property
    def person_of(self) -> NDArray[np.int64]:
        """The person of each sample: int64 [N], positions in `people`; -1 where nobody knows."""
        number = {person: i for i, person in enumerate(self.people)}
        if self.subjects is None:
            return np.full(len(self), -1, np.int64)
        return np.array([number[subject] for subject in self.subjects], np.int64)

    def people_in(self, rows: NDArray[np.int64]) -> list[str]:
        """Name the people of some samples in natural order; nobody where they are not known."""
        return [self.people[i] for i in np.unique(self.person_of[rows]) if i >= 0]

    def files_of(self, row: int) -> list[Path]:
        """List the files of a sample, none where it is pixels."""
        if self.recordings is not None:
            return [file for recording in self.recordings[row] for file in recording.files()]
        return [] if self.files is None else [self.files[row]]

    def all_files(self) -> Iterator[str]:
        """List the files of all samples as strings: a Path for each takes ten times as long."""
        if isinstance(self.files, Paths):
            return self.files.texts()
        recordings = (recording for several in self.recordings or () for recording in several)
        return (file for recording in recordings for file in _paths(recording))

    def name_unread(self, root: Path) -> str | None:
        """Name pictures and films below a root that are left out, by folders; None for nothing.

        It compares names only and opens no file. What is known (the files, the problems and
        `left_out`) is not named.
        """
        known = {*self.all_files(), *map(str, self.left_out)}
        known.update(str(path) for path, _ in self.problems)
        return name_others(root, known, most=2 * len(known) + _SPARE)

    def manifest_hash(self) -> str:
        """Fingerprint the data: names and labels of all samples, their files and sizes; SHA-256."""
        digest = hashlib.sha256(self.expressions.tobytes())
        for column in (self.pixels, self.votes, self.action_units):
            digest.update(b"\0" if column is None else np.ascontiguousarray(column).data)
        files = self.all_files()
        for row, name in enumerate(self.names):
            digest.update(os.fsencode(f"{name}\0"))
            for file in islice(files, self._files_in(row)):
                digest.update(os.fsencode(f"{file.rpartition('/')[2]}\0{_size(file)}\0"))
        return digest.hexdigest()

    def names_hash(self) -> str:
        """Fingerprint which row is which sample, whatever its label; SHA-256."""
        return hashlib.sha256(os.fsencode("\0".join(self.names))).hexdigest()

    def is_synthetic(self, root: Path) -> bool:
        """Tell whether the samples lie in a tree of drawn faces."""
        first = next(self.all_files(), None)
        return is_synthetic(root) or (first is not None and is_synthetic(Path(first).parent))

    def _files_in(self, row: int) -> int:
        if self.recordings is None:
            return 0 if self.files is None else 1
        return sum(len(_paths(recording)) for recording in self.recordings[row])


def in_natural_order(names: Iterable[str]) -> list[str]:
    """Sort names, each once, such that S9 comes before S10."""
    return sorted(set(names), key=lambda name: (natural_key(name), name))


def _paths(recording: Recording) -> list[str]:
    if isinstance(recording, Video):
        return [os.fspath(recording.path)]
    folder = os.fspath(recording.path / "_").removesuffix("_")
    return [folder + name for name in recording.names]


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size  # noqa: PTH116  # a Path takes longer to make than to ask
    except OSError:
        return -1
