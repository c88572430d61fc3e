"""The two files in which FERPlus keeps its votes."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from datamodules.errors import DatasetError
from datamodules.files import Problems, read_table
from datamodules.labels import FERPLUS_CODES, whole_number

COLUMNS = (*FERPLUS_CODES, "unknown", "NF")
"""What raters may say, in the order of the columns."""

_CSV = "fer2013new.csv"
_COUNTS = range(1_000)  # of votes; there are ten raters
_USAGES = ("Training", "PublicTest", "PrivateTest")


class VoteRow(NamedTuple):
    """The votes for an image.

    Attributes:
        name: Name of the image without its suffix; empty where it has none.
        votes: Number of votes in each of `COLUMNS`.
    """

    name: str
    votes: list[int]


def read_labels(folder: Path, problems: Problems) -> list[VoteRow]:
    """Read label.csv, `fer0000000.png,"(0, 0, 48, 48)",<10 votes>` without a header.

    Args:
        folder: The folder of the images, which holds the file.
        problems: Lines that hold something else are added to it.

    Returns:
        The rows in the order of the file.

    Raises:
        DatasetError: If the file cannot be read.
    """
    path = folder / "label.csv"
    rows = []
    for number, cells in read_table(path):
        row = _row(cells[0], cells[2:])
        if row is None:
            problems.append((path, f"line {number} does not hold a name, a box and 10 counts"))
        else:
            rows.append(row)
    return rows


def read_votes(folder: Path) -> dict[str, list[VoteRow]]:
    """Read fer2013new.csv.

    Args:
        folder: The folder that holds the file, or one whose parent does.

    Returns:
        The rows of Training, PublicTest and PrivateTest, in the order of the file.

    Raises:
        DatasetError: If the file or one of its lines cannot be read.
    """
    places = (folder, folder.parent)
    path = next((place / _CSV for place in places if (place / _CSV).is_file()), places[-1] / _CSV)
    lines = list(read_table(path))
    header = ["Usage", "Image name", *COLUMNS]
    if not lines or [cell.strip() for cell in lines[0][1]] != header:
        raise DatasetError(f"{path} does not begin with the columns {', '.join(header)}.")
    table: dict[str, list[VoteRow]] = {usage: [] for usage in _USAGES}
    for number, cells in lines[1:]:
        row = _row(cells[1], cells[2:]) if len(cells) > 2 else None
        if row is None or cells[0] not in table:
            raise DatasetError(f"Line {number} of {path} does not hold a usage, a name and counts.")
        table[cells[0]].append(row)
    return table


def _row(name: str, counts: list[str]) -> VoteRow | None:
    """Turn cells into a row; None where they are none."""
    read = map(whole_number, counts)
    votes = [vote for vote in read if vote is not None and vote in _COUNTS]
    if len(votes) < len(counts) or len(votes) != len(COLUMNS):
        return None
    return VoteRow(Path(name.strip()).stem, votes)
