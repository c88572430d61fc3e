"""Pictures and films that lie in a data set or an input and are not read."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from datamodules.errors import printable
from datamodules.files import IMAGE_SUFFIXES, VIDEO_SUFFIXES, is_visible
from datamodules.index import Index

_OTHERS = "avif gif heic heif jp2 jxl pgm ppm psd m4v mpeg mpg webm wmv 3gp"
_SUFFIXES = IMAGE_SUFFIXES | VIDEO_SUFFIXES | {f".{suffix}" for suffix in _OTHERS.split()}
_LISTED = 8
MOST_NAMED = 20
"""Names that `name_some` gives."""
_SPARE = 20_000  # files looked at beside those read: a root may lie above other data sets


def name_unread(index: Index, root: Path) -> str | None:
    """Name what an index leaves out, folder by folder with counts; None for nothing.

    It compares names only and opens no file. What the index knows of (its files, its problems and
    `left_out`) is not named.
    """
    known = set(index.all_files())
    known.update(os.fspath(path) for path, _ in index.problems)
    known.update(os.fspath(path) for path in index.left_out)
    return name_others(root, known, most=2 * len(known) + _SPARE)


def name_others(root: Path, known: set[str], most: int | None = None) -> str | None:
    """Name pictures and films below a root that are not known; None for nothing.

    Args:
        root: The folder.
        known: Paths of files, and of folders whose files are all known.
        most: Files that are looked at; None for all.
    """
    counts: Counter[tuple[str, str]] = Counter()
    looked_at = 0
    for folder, below, names in os.walk(root):
        here = f"{folder.rstrip('/')}/"  # strings: a Path for each file would take most of the time
        below[:] = sorted(name for name in below if is_visible(name) and here + name not in known)
        looked_at += len(names)
        if most is not None and looked_at > most:
            break
        for name in names:
            suffix = f".{name.rpartition('.')[2].lower()}"
            if suffix in _SUFFIXES and is_visible(name) and here + name not in known:
                counts[os.path.relpath(folder, root), suffix] += 1
    return _sentence(root, counts)


def _sentence(root: Path, counts: Counter[tuple[str, str]]) -> str | None:
    if not counts:
        return None
    if len(counts) > _LISTED:  # by the folders at the top
        coarse: Counter[tuple[str, str]] = Counter()
        for (folder, suffix), number in counts.items():
            coarse["/".join(folder.split("/")[:2]), suffix] += number
        counts = coarse
    named = [
        f"{number} {suffix}" + (f" in {folder}" if folder != "." else "")
        for (folder, suffix), number in sorted(counts.items())
    ]
    more = f", and more in {len(named) - _LISTED} other places" if len(named) > _LISTED else ""
    return printable(
        f"{sum(counts.values())} pictures or films below {root} are not read: "
        f"{', '.join(named[:_LISTED])}{more}."
    )


def name_some(names: Sequence[str], count: int) -> str:
    """Join the first of so many names by commas, as many as a line takes, and count the rest."""
    shown = printable(", ".join(names[:MOST_NAMED]), 1_000)
    return f"{shown} and {count - MOST_NAMED} more" if count > MOST_NAMED else shown
