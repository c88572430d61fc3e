"""Lists of occluded and turned faces in the test images of RAF-DB and FERPlus."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from datamodules.errors import DatasetError
from datamodules.labels import RAFDB_CODES, Expression
from datamodules.recordings import find_folder

_TREE = {
    "RAF_DB_dir": {
        "occlusion": "rafdb_occlusion_list.txt",
        "pose30": "val_raf_db_list.txt",
        "pose45": "val_raf_db_list_45.txt",
    },
    "FERplus_dir": {
        "occlusion": "jianfei_occlusion_list.txt",
        "pose30": "pose_30_ferplus_list.txt",
        "pose45": "pose_45_ferplus_list.txt",
    },
}
_ORIGIN = "the repository kaiwang960112/Challenge-condition-FER-dataset"


@dataclass(frozen=True)
class ChallengeLists:
    """Which images are in which list.

    Attributes:
        subsets: bool [N] for each of occlusion, pose30 and pose45 that holds any of the images.
        notes: How many images of each list were found.
    """

    subsets: dict[str, NDArray[np.bool_]]
    notes: list[str]


def rafdb_lists(
    folder: Path, names: Sequence[str], expressions: NDArray[np.int8]
) -> ChallengeLists:
    """Find the images of RAF-DB that are occluded, or turned by more than 30 or 45 degrees.

    Args:
        folder: Copy of the lists; the folder RAF_DB_dir, or up to two levels above it.
        names: Names of the images, e.g. `test_0001`.
        expressions: int8 [N], canonical expressions of the images, -1 for none.

    Returns:
        The lists as masks.

    Raises:
        DatasetError: If a list is missing or cannot be read, or names another label for an image.

    Reference:
        Wang et al., Region attention networks for pose and occlusion robust facial expression
        recognition, TIP 2020, IV.A.

    Deviation:
        The list of occlusions names test_2464 twice, so that it has 734 images, not 735.
    """
    # The lists count from 0 what RAF-DB counts from 1.
    codes = {code - 1: expression for code, expression in RAFDB_CODES.items()}
    return _read_lists(folder, "RAF_DB_dir", names, expressions, codes)


def ferplus_lists(
    folder: Path, names: Sequence[str], expressions: NDArray[np.int8]
) -> ChallengeLists:
    """Find the images of FERPlus that are occluded, or turned by more than 30 or 45 degrees.

    Args:
        folder: Copy of the lists; the folder FERplus_dir, or up to two levels above it.
        names: Names of the images, e.g. `fer0032226`.
        expressions: int8 [N], canonical expressions of the images, -1 for none.

    Returns:
        The lists as masks.

    Raises:
        DatasetError: If a list is missing or cannot be read, or names another label for an image.

    Reference:
        Wang et al., TIP 2020, IV.A; the labels are those of the majority rule.
    """
    return _read_lists(folder, "FERplus_dir", names, expressions, dict(enumerate(Expression)))


def _read_lists(
    folder: Path,
    place: str,
    names: Sequence[str],
    expressions: NDArray[np.int8],
    codes: dict[int, Expression],
) -> ChallengeLists:
    found = _find(folder, place)
    row_of = {name: row for row, name in enumerate(names)}
    lists = ChallengeLists({}, [])
    for subset, file in _TREE[place].items():
        path = found / file
        labels = _read(path, codes)
        rows = {row_of[stem]: label for stem, label in labels.items() if stem in row_of}
        used = {row: label for row, label in rows.items() if expressions[row] >= 0}
        wrong = [row for row, label in used.items() if expressions[row] != label]
        if wrong:
            row = wrong[0]
            raise DatasetError(
                f"{path} and the data set disagree on {len(wrong)} of {len(used)} labels; the "
                f"first is {names[row]}: {used[row].name.lower()} in the list, "
                f"{Expression(int(expressions[row])).name.lower()} in the data set. Take the lists "
                f"of {_ORIGIN} and the data set's own labels."
            )
        lists.notes.append(
            f"{subset}: {len(used)} of the {len(labels)} images of {file} are in the data"
        )
        if used:
            mask = np.zeros(len(names), np.bool_)
            mask[list(used)] = True
            lists.subsets[subset] = mask
    return lists


def _find(folder: Path, place: str) -> Path:
    """Find the folder that holds the lists of a data set."""
    files = list(_TREE[place].values())
    if (folder / files[0]).is_file():
        return folder
    found = find_folder(folder, (place,)) if folder.is_dir() else None
    if found is None:
        raise DatasetError(
            f"{folder} holds no lists of hard test images; expected {place}/ with "
            f"{', '.join(files)}, from {_ORIGIN}."
        )
    return found


def _read(path: Path, codes: dict[int, Expression]) -> dict[str, Expression]:
    """Read a list, `test_0003_aligned 3 4`, `1_fer0034656.png 8 0` or `0/fer0032226.jpg`."""
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"The list {path} cannot be read: {error}.") from error
    labels = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            stem, code = _parse(line.split())
            labels[stem] = codes[code]
        except (ValueError, KeyError, IndexError) as error:
            raise DatasetError(
                f"Line {number} of {path} is {line.strip()!r}; expected the name of an image and "
                f"a label from 0 to {max(codes)}."
            ) from error
    return labels


def _parse(cells: list[str]) -> tuple[str, int]:
    """Take the stem of the image and the label from a line."""
    name = PurePosixPath(cells[0])
    if len(cells) == 1:  # label/name
        code, stem = name.parts[0], name.stem
    elif name.stem.startswith("test_"):
        code, stem = cells[1], name.stem
    else:  # the label stands before the name, and 8 behind every name
        code, _, stem = name.stem.partition("_")
    return stem.removesuffix("_aligned"), int(code)


def embedded_lists(root: Path) -> Path | None:
    """Return the folder `lists` beside a data set, where drawn faces have theirs, or None."""
    folder = root / "lists"
    return folder if folder.is_dir() else None
