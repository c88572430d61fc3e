"""What a reader finds in a data set of still images: one row an image, column by column."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datamodules.labels import ACTION_UNITS, Expression, class_index
from datamodules.store.marker import MARKER

PARTS = ("train", "val", "test")


@dataclass(frozen=True)
class Index:
    """The images of a data set; every column has a value for each of the N images.

    Args:
        names: Unique names, as people see them, e.g. ``train_00001``.
        files: Image files; None where `pixels` holds the images.
        pixels: uint8 [N, H, W] grey images of a data set that has no image files (FER2013's CSV).
        expressions: int8 [N], canonical expressions, -1 for an image without one.
        splits: Official part of each image: train, val or test; None where folds decide.
        subjects: Person of each image; None where nobody knows.
        votes: float32 [N, 8], share of the votes for each expression in canonical order; rows sum
            to 1, or to 0 where nobody voted.
        action_units: int8 [N, 14], 1 where an Action Unit is present, in the order of
            `labels.ACTION_UNITS`.
        boxes: int64 [N, 4], where the face lies in its file: x, y, width, height in pixels; None
            for the whole image, or for a face still to be detected.
        subsets: bool [N] by the names of test lists.
        problems: (path, reason) of unusable files and rows.
        notes: Remarks for the log: what was kept, dropped and tied, counts found against counts
            published.

    Raises:
        ValueError: If columns do not fit together; that is a mistake of the reader.
    """

    names: list[str]
    files: list[Path] | None
    pixels: NDArray[np.uint8] | None
    expressions: NDArray[np.int8]
    splits: list[str] | None = None
    subjects: list[str] | None = None
    votes: NDArray[np.float32] | None = None
    action_units: NDArray[np.int8] | None = None
    boxes: NDArray[np.int64] | None = None
    subsets: dict[str, NDArray[np.bool_]] = field(default_factory=dict)
    problems: list[tuple[Path, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        count = len(self.names)
        if (self.files is None) == (self.pixels is None):
            raise ValueError("An index needs files or pixels, and exactly one of both.")
        picture = () if self.pixels is None else self.pixels.shape[1:]
        columns: dict[str, tuple[Any, tuple[int, ...]]] = {  # and the shape of each value
            "files": (self.files, ()),
            "pixels": (self.pixels, picture),
            "expressions": (self.expressions, ()),
            "splits": (self.splits, ()),
            "subjects": (self.subjects, ()),
            "votes": (self.votes, (len(Expression),)),
            "action_units": (self.action_units, (len(ACTION_UNITS),)),
            "boxes": (self.boxes, (4,)),
            **{f"subsets[{name!r}]": (mask, ()) for name, mask in self.subsets.items()},
        }
        for name, (column, shape) in columns.items():
            if column is None:
                continue
            found = column.shape if isinstance(column, np.ndarray) else (len(column),)
            if found != (count, *shape):
                raise ValueError(f"{name} must be of shape {(count, *shape)}, but is {found}.")
        if len(set(self.names)) != count:
            raise ValueError("The names of an index must be unique.")
        if unknown := set(self.splits or ()) - set(PARTS):
            raise ValueError(f"A split must be one of {', '.join(PARTS)}, but got {unknown}.")

    def __len__(self) -> int:
        return len(self.names)

    def classes(self, expressions: str) -> NDArray[np.int64]:
        """Map expressions to class indices.

        Args:
            expressions: Name of the set of classes.

        Returns:
            int64 [N], -1 for images without an expression of the set.
        """
        indices = [class_index(expression, expressions) for expression in Expression]
        table = np.array([*(-1 if i is None else i for i in indices), -1], np.int64)
        return table[self.expressions]  # -1 picks the last entry

    def manifest_hash(self) -> str:
        """Fingerprint the data: names of all images, their sizes or pixels, and labels; SHA-256."""
        digest = hashlib.sha256(self.expressions.tobytes())
        for column in (self.pixels, self.votes, self.action_units):
            digest.update(b"\0" if column is None else np.ascontiguousarray(column).data)
        for number, name in enumerate(self.names):
            size = -1 if self.files is None else _size(self.files[number])
            digest.update(f"{name}\0{size}\0".encode())
        return digest.hexdigest()

    def names_hash(self) -> str:
        """Fingerprint which row is which image, whatever its label; SHA-256."""
        return hashlib.sha256("\0".join(self.names).encode()).hexdigest()

    def is_synthetic(self, root: Path) -> bool:
        """Tell whether the images lie in a tree that was drawn by this project.

        Args:
            root: Folder of the data set.
        """
        folders = [root, *root.parents]
        if self.files:
            folders += self.files[0].parents
        return any((folder / MARKER).exists() for folder in folders)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1
