"""Find folders and files of a data set, wherever they were unpacked, and read its lists."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from datamodules.errors import DatasetError

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"})
VIDEO_SUFFIXES = frozenset({".avi", ".mp4", ".mov", ".mkv"})

MARKER = "SYNTHETIC.json"
"""File in the root of every tree of drawn faces; a tree without it is of real people."""


class MatchingFile(NamedTuple):
    """A file whose name is of the data set, and what the pattern found in it."""

    path: Path
    fields: re.Match[str]


def natural_key(text: str) -> tuple[tuple[int, str], ...]:
    """Sort key by which `img_9` comes before `img_10`, and case does not matter."""
    return tuple(
        (int(part), "") if part.isdigit() else (-1, part.lower())
        for part in re.findall(r"\d+|\D+", text)
    )


def is_image(path: Path) -> bool:
    """Tell by its name whether a file is an image."""
    return path.suffix.lower() in IMAGE_SUFFIXES


def is_video(path: Path) -> bool:
    """Tell by its name whether a file is a video."""
    return path.suffix.lower() in VIDEO_SUFFIXES


def is_synthetic(folder: Path) -> bool:
    """Tell whether a folder is a tree of drawn faces, or lies in one."""
    return any((place / MARKER).exists() for place in (folder, *folder.absolute().parents))


def walk(root: Path, depth: int | None = None) -> Iterator[tuple[Path, list[str], list[str]]]:
    """Visit folders from the top down, without hidden ones and the leavings of archives.

    Links to folders are followed, but not those that lead back up. Nothing is visited where the
    root is no folder, and only `depth` levels below it where that is given.

    Yields:
        Each folder, the names of its folders, from which the caller may delete those not to be
        visited, and the names of its files, both in natural order.
    """
    for folder, below, files in os.walk(root, followlinks=True):
        path = Path(folder)
        if depth is not None and len(path.relative_to(root).parts) >= depth:
            below.clear()
        kept = [name for name in filter(_is_visible, below) if not _leads_up(path / name)]
        below[:] = sorted(kept, key=natural_key)
        yield path, below, sorted(filter(_is_visible, files), key=natural_key)


def visible(folder: Path) -> list[Path]:
    """List a folder in natural order without hidden files and the leavings of archives."""
    inside = (path for path in folder.iterdir() if _is_visible(path.name))
    return sorted(inside, key=lambda path: natural_key(path.name))


def folders(folder: Path) -> list[Path]:
    """List the visible folders in a folder, in natural order."""
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if _is_visible(entry.name) and entry.is_dir()]
    return [folder / name for name in sorted(names, key=natural_key)]


def find_folder(root: Path, names: Sequence[str], depth: int = 2) -> Path | None:
    """Find the folder of a name nearest to a root; None for none.

    Archives are often unpacked into a folder of their own name, so a root may be `depth` levels
    above the data. Of several names, whose case does not matter, an earlier one wins.
    """
    for level in islice(_levels(root), 1, depth + 2):
        for name in names:
            for folder in level:
                if folder.name.lower() == name.lower():
                    return folder
    return None


def find_file(root: Path, names: Sequence[str], depth: int = 2) -> Path | None:
    """Find the file of a name nearest to a root, as `find_folder` does; None for none."""
    for level in islice(_levels(root), depth + 1):
        inside = [{path.name.lower(): path for path in folder.iterdir()} for folder in level]
        for name in names:
            for paths in inside:
                if (found := paths.get(name.lower())) is not None and found.is_file():
                    return found
    return None


def nested(folder: Path, name: str) -> Path:
    """Enter the folder that an archive has made in the folder of its own name, if there is one.

    Case does not matter. Returns the outer folder where it holds none of that name.
    """
    return find_folder(folder, (name,), depth=0) or folder


def matching_files(
    root: Path, pattern: re.Pattern[str], depth: int | None = 2
) -> list[MatchingFile]:
    """List the files whose whole name matches, in natural order, without second copies.

    Of files of one name the first is taken: an archive unpacked twice must not put one picture
    into training and test.

    Args:
        root: Folder of the data set, or some levels above it.
        pattern: What the whole name of a file must match.
        depth: Levels of folders below the root that are searched; None searches all.
    """
    found: dict[str, MatchingFile] = {}
    for folder, _, names in walk(root, depth):
        for name in names:
            if match := pattern.fullmatch(name):
                found.setdefault(name.lower(), MatchingFile(folder / name, match))
    return [found[name] for name in sorted(found, key=natural_key)]


def read_lines(path: Path) -> list[tuple[int, str]]:
    """Read the lines of a UTF-8 list that are not empty, with their numbers from 1.

    Raises:
        DatasetError: If the file cannot be read.
    """
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"The list {path} cannot be read: {error}.") from error
    return [(number, text) for number, line in enumerate(lines, 1) if (text := line.strip())]


def _levels(root: Path) -> Iterator[list[Path]]:
    """Yield the root, then the folders in it, then those in these, level by level."""
    level = [root] if root.is_dir() else []
    while level:
        yield level
        level = [below for folder in level for below in folders(folder)]


def _is_visible(name: str) -> bool:
    return not name.startswith(".") and name != "__MACOSX"


def _leads_up(folder: Path) -> bool:
    return folder.is_symlink() and folder.parent.resolve().is_relative_to(folder.resolve())
