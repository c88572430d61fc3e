"""Columns of texts and paths of a large data set, in a fraction of the memory of Python's own.

A Path takes half a kilobyte and a string of ten letters sixty bytes, which is a gigabyte for a
million images before the first is read. Here a value is made when it is asked for.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TypeVar, overload

import numpy as np

T = TypeVar("T")


class _Column(Sequence[T]):
    """A sequence that cannot be changed, and equals a list of the same values."""

    def _value(self, row: int) -> T:
        raise NotImplementedError

    @overload
    def __getitem__(self, row: int) -> T: ...
    @overload
    def __getitem__(self, row: slice) -> list[T]: ...
    def __getitem__(self, row: int | slice) -> T | list[T]:
        if isinstance(row, slice):
            return [self._value(i) for i in range(*row.indices(len(self)))]
        return self._value(range(len(self))[row])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]  # like a list

    def __repr__(self) -> str:
        return repr(list(self))


class Texts(_Column[str]):
    """Strings in one block of bytes.

    Args:
        texts: The strings; file names that are no UTF-8 keep their bytes.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        block, ends = bytearray(), array("q", [0])
        for text in texts:
            block += os.fsencode(text)
            ends.append(len(block))
        self._bytes, self._ends = bytes(block), np.array(ends, np.int64)

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __iter__(self) -> Iterator[str]:
        bounds = pairwise(self._ends.tolist())
        return (os.fsdecode(self._bytes[start:end]) for start, end in bounds)

    def _value(self, row: int) -> str:
        start, end = self._ends[row : row + 2].tolist()
        return os.fsdecode(self._bytes[start:end])


class Paths(_Column[Path]):
    """Paths of files, each folder kept once.

    Args:
        paths: The paths.
    """

    def __init__(self, paths: Iterable[Path]) -> None:
        folders: dict[str, int] = {}
        folder_of = array("i")

        def names() -> Iterator[str]:
            for path in paths:
                folder, slash, name = os.fspath(path).rpartition("/")
                folder_of.append(folders.setdefault(folder + slash, len(folders)))
                yield name

        self._names = Texts(names())
        self._folder_of = np.array(folder_of, np.int32)
        self._folders = tuple(folders)  # each with its slash; empty for the working directory

    def __len__(self) -> int:
        return len(self._names)

    def __iter__(self) -> Iterator[Path]:
        return map(Path, self.texts())

    def texts(self) -> Iterator[str]:
        """Yield the paths as strings, which takes a tenth of the time."""
        folders = map(self._folders.__getitem__, self._folder_of.tolist())
        return (folder + name for folder, name in zip(folders, self._names, strict=True))

    def _value(self, row: int) -> Path:
        return Path(self._folders[self._folder_of[row]] + self._names[row])
