"""Find folders and files of a data set, wherever they were unpacked, and read its lists."""

from __future__ import annotations

import csv
import os
import re
import stat
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from io import TextIOWrapper
from itertools import islice
from pathlib import Path
from typing import BinaryIO, NamedTuple

from datamodules.errors import BadSample, DatasetError, UserError, printable

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})
VIDEO_SUFFIXES = frozenset({".avi", ".mp4", ".mov", ".mkv"})
_OTHERS = "avif gif heic heif jp2 jxl pgm ppm psd m4v mpeg mpg webm wmv 3gp"
_SUFFIXES = IMAGE_SUFFIXES | VIDEO_SUFFIXES | {f".{suffix}" for suffix in _OTHERS.split()}
_LISTED = 8  # places of files that are not read

Problems = list[tuple[str | Path, str]]
"""(path, reason) of what is unusable."""

MARKER = "SYNTHETIC.json"
"""File in the root of every tree of drawn faces; a tree without it is of real people."""


class MatchingFile(NamedTuple):
    """A file whose name is of the data set, and what the pattern found in it."""

    path: Path
    fields: re.Match[str]


def given_path(argument: str, text: str | None) -> Path | None:
    """Make the path that an argument of the data gives, None for none.

    Raises:
        UserError: If it is empty, which Python takes for the folder that one is in.
    """
    if text is None:
        return None
    if not text.strip():
        raise UserError(f"data.{argument} is empty: give a path, or leave it out.")
    return Path(text).expanduser()


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


def walk(
    root: Path, depth: int | None = None, problems: Problems | None = None
) -> Iterator[tuple[Path, list[str], list[str]]]:
    """Visit folders from the top down, without hidden ones and the leavings of archives.

    Links to folders are followed at the end, but not back up, and only to folders that were not
    visited: no picture comes twice, and no circle is walked. Nothing is visited where the root is
    no folder, and only `depth` levels below it where that is given.

    Args:
        root: The first folder.
        depth: Levels below it; None for all.
        problems: Folders that cannot be read are added to it; None to raise them.

    Yields:
        Each folder, the names of its folders, from which the caller may delete those not to be
        visited, and the names of its files, both in natural order.

    Raises:
        BadSample: If a folder cannot be read.
    """
    pending = [(root, 0, False)]  # folder, levels below the root, whether behind a link
    linked: list[tuple[Path, int, bool]] = []
    seen: set[tuple[int, int]] = set()
    while pending or linked:
        path, level, behind_link = pending.pop() if pending else linked.pop(0)
        try:
            state = path.stat()
            if behind_link and (state.st_dev, state.st_ino) in seen:
                continue
            with os.scandir(path) as entries:
                found = [entry for entry in entries if is_visible(entry.name)]
            inside = [entry for entry in found if entry.is_dir()]
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            bad = BadSample(path, f"the folder cannot be read ({error.strerror})")
            if problems is None:
                raise bad from error
            problems.append((path, bad.reason))
            continue
        seen.add((state.st_dev, state.st_ino))
        links = {entry.name for entry in inside if entry.is_symlink()}
        upwards = {name for name in links if _leads_up(path / name)}
        names = {entry.name for entry in inside} - upwards
        below = [] if level == depth else _in_order(names)
        yield path, below, _in_order(e.name for e in found if e.name not in names | upwards)
        linked += [(path / name, level + 1, True) for name in below if name in links]
        pending += [
            (path / name, level + 1, behind_link) for name in reversed(below) if name not in links
        ]


def visible(folder: Path) -> list[Path]:
    """List a folder in natural order without hidden files and the leavings of archives."""
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if is_visible(entry.name)]
    return [folder / name for name in _in_order(names)]


def folders(folder: Path) -> list[Path]:
    """List the visible folders in a folder, in natural order."""
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if is_visible(entry.name) and entry.is_dir()]
    return [folder / name for name in _in_order(names)]


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
    root: Path, pattern: re.Pattern[str], depth: int | None = 2, problems: Problems | None = None
) -> list[MatchingFile]:
    """List the files whose whole name matches, in natural order, without second copies.

    Of files of one name the first is taken: an archive unpacked twice must not put one picture
    into training and test.

    Args:
        root: Folder of the data set, or some levels above it.
        pattern: What the whole name of a file must match.
        depth: Levels of folders below the root that are searched; None searches all.
        problems: Added to it are folders that cannot be read (None raises them) and second files
            of one name in one folder, such as 1.PNG beside 1.png.
    """
    found: dict[str, MatchingFile] = {}
    for folder, _, names in walk(root, depth, problems):
        for name in names:
            if match := pattern.fullmatch(name):
                file = MatchingFile(folder / name, match)
                first = found.setdefault(file.path.stem.lower(), file)
                if first is not file and first.path.parent == folder and problems is not None:
                    problems.append((file.path, f"is a second file beside {first.path.name}"))
    return [found[name] for name in sorted(found, key=natural_key)]


def open_file(path: Path) -> BinaryIO:
    """Open a file to read it.

    Raises:
        BadSample: If it is not there, or is no file: a named pipe would be waited for for ever.
    """
    try:
        number = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        raise BadSample(path, error.strerror or "the file cannot be read") from error
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise BadSample(path, "is a folder, a pipe or a device, not a file")
    return os.fdopen(number, "rb")


def read_text(path: Path) -> str:
    """Read a UTF-8 text, with or without a byte order mark.

    Raises:
        BadSample: If it cannot be read.
    """
    try:
        with open_file(path) as file:
            return file.read().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise BadSample(path, f"the text cannot be read ({error})") from error


def read_lines(path: Path) -> list[tuple[int, str]]:
    """Read the lines of a UTF-8 list that are not empty, with their numbers from 1.

    Raises:
        DatasetError: If the file cannot be read.
    """
    try:
        lines = read_text(path).splitlines()
    except BadSample as error:
        raise DatasetError(f"The list {path} cannot be read: {error.reason}.") from error
    return [(number, text) for number, line in enumerate(lines, 1) if (text := line.strip())]


def read_table(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Read the rows of a UTF-8 table of commas that are not empty, with their lines from 1.

    Raises:
        DatasetError: If the file cannot be read, or is no such table.
    """
    try:
        with open_file(path) as file:
            rows = csv.reader(TextIOWrapper(file, "utf-8-sig", newline=""))
            yield from ((number, row) for number, row in enumerate(rows, 1) if any(row))
    except (BadSample, OSError, UnicodeDecodeError, csv.Error) as error:
        reason = error.reason if isinstance(error, BadSample) else error
        raise DatasetError(f"The table {path} cannot be read: {reason}.") from error


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
    return _unread(root, counts)


def _unread(root: Path, counts: Counter[tuple[str, str]]) -> str | None:
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


def _leads_up(folder: Path) -> bool:
    return folder.parent.resolve().is_relative_to(folder.resolve())


def _levels(root: Path) -> Iterator[list[Path]]:
    """Yield the root, then the folders in it, then those in these, level by level."""
    level = [root] if root.is_dir() else []
    while level:
        yield level
        level = [below for folder in level for below in folders(folder)]


def _in_order(names: Iterable[str]) -> list[str]:
    """Sort names in natural order, and those that differ in case only always in one."""
    return sorted(sorted(names), key=natural_key)


def is_visible(name: str) -> bool:
    """Tell files and folders from hidden ones and the leavings of archives."""
    return not name.startswith(".") and name != "__MACOSX"


def file_name(source: str) -> str:
    """Turn any text into a file name: harmless text as it is, else with a checksum.

    Two texts never share a file.
    """
    plain = re.sub(r"[^\w.-]+", "_", source).lstrip(".")[:100]
    return plain if plain == source else f"{plain}-{zlib.crc32(os.fsencode(source)):08x}"
