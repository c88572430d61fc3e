"""Find the files of a data set by the whole of their names, wherever they were unpacked."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from datamodules.recordings import natural_key


class MatchingFile(NamedTuple):
    """A file whose name is of the data set.

    Attributes:
        path: The file.
        fields: What the pattern found in the name.
    """

    path: Path
    fields: re.Match[str]


def walk(root: Path, depth: int | None = None) -> Iterator[tuple[Path, list[str]]]:
    """Visit folders from the top down in natural order, without hidden ones and archives' leavings.

    Args:
        root: Where to begin.
        depth: Levels of folders below the root that are visited; None visits all.

    Yields:
        Each folder and the names of its visible files, in no order.
    """
    for folder, below, files in os.walk(root):
        path = Path(folder)
        level = len(path.relative_to(root).parts)
        kept = (n for n in below if not n.startswith(".") and n != "__MACOSX")
        below[:] = sorted(kept, key=natural_key) if depth is None or level < depth else []
        yield path, [name for name in files if not name.startswith(".")]


def matching_files(
    root: Path, pattern: re.Pattern[str], depth: int | None = 2
) -> list[MatchingFile]:
    """List the files whose whole name matches, and leave out second copies.

    Args:
        root: Folder of the data set, or some levels above it.
        pattern: What the whole name of a file must match.
        depth: Levels of folders below the root that are searched; None searches all.

    Returns:
        The files in natural order of their names. Of files of one name the first is taken: an
        archive unpacked twice must not put one picture into training and test.
    """
    found: dict[str, MatchingFile] = {}
    for folder, names in walk(root, depth):
        for name in names:
            if match := pattern.fullmatch(name):
                found.setdefault(name.lower(), MatchingFile(folder / name, match))
    return [found[name] for name in sorted(found, key=natural_key)]
