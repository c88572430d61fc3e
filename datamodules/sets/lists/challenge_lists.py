"""Lists of occluded and turned faces in the test images of RAF-DB and FERPlus."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from datamodules.errors import DatasetError
from datamodules.files import find_folder, read_lines
from datamodules.labels import RAFDB_CODES, Expression

_FOLDERS = {"RAF-DB": "RAF_DB_dir", "FERPlus": "FERplus_dir"}
_FILES = {
    "RAF-DB": {
        "occlusion": "rafdb_occlusion_list.txt",
        "pose30": "val_raf_db_list.txt",
        "pose45": "val_raf_db_list_45.txt",
    },
    "FERPlus": {
        "occlusion": "jianfei_occlusion_list.txt",
        "pose30": "pose_30_ferplus_list.txt",
        "pose45": "pose_45_ferplus_list.txt",
    },
}
_CODES: dict[str, dict[int, Expression]] = {
    # The lists count from 0 what RAF-DB counts from 1.
    "RAF-DB": {code - 1: expression for code, expression in RAFDB_CODES.items()},
    "FERPlus": dict(enumerate(Expression)),
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


def read_challenge_lists(
    data_set: Literal["RAF-DB", "FERPlus"],
    root: Path,
    folder: Path | None,
    names: Sequence[str],
    expressions: NDArray[np.int8],
) -> ChallengeLists:
    """Find the images that are occluded, or turned by more than 30 or 45 degrees.

    Args:
        data_set: Name of the data set.
        root: Its folder; drawn faces have their lists in the folder `lists` there.
        folder: Copy of the lists; the folder RAF_DB_dir or FERplus_dir, or up to two levels above
            it. None looks for `lists` in the root.
        names: Names of the images, e.g. `test_0001` or `fer0032226`.
        expressions: int8 [N], canonical expressions of the images, -1 for none.

    Returns:
        The lists as masks; none where there is no folder.

    Raises:
        DatasetError: If a list is missing or cannot be read, or names another label for an image.

    Reference:
        Wang et al., Region attention networks for pose and occlusion robust facial expression
        recognition, TIP 2020, IV.A; the labels of FERPlus are those of the majority rule.

    Deviation:
        RAF-DB's list of occlusions names test_2464 twice, so that it has 734 images, not 735.
    """
    lists = ChallengeLists({}, [])
    if folder is None and not (root / "lists").is_dir():
        return lists
    found = _find(folder or root / "lists", data_set)
    row_of = {name: row for row, name in enumerate(names)}
    for subset, file in _FILES[data_set].items():
        path = found / file
        labels = _read(path, _CODES[data_set])
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


def _find(folder: Path, data_set: str) -> Path:
    """Find the folder that holds the lists of a data set."""
    files, place = list(_FILES[data_set].values()), _FOLDERS[data_set]
    if (folder / files[0]).is_file():
        return folder
    found = find_folder(folder, (place,))
    if found is None:
        raise DatasetError(
            f"{folder} holds no lists of hard test images; expected {place}/ with "
            f"{', '.join(files)}, from {_ORIGIN}."
        )
    return found


def _read(path: Path, codes: dict[int, Expression]) -> dict[str, Expression]:
    """Read a list, `test_0003_aligned 3 4`, `1_fer0034656.png 8 0` or `0/fer0032226.jpg`."""
    labels = {}
    for number, line in read_lines(path):
        try:
            stem, code = _parse(line.split())
            labels[stem] = codes[code]
        except (ValueError, KeyError, IndexError) as error:
            raise DatasetError(
                f"Line {number} of {path} is {line!r}; expected the name of an image and "
                f"a label from 0 to {max(codes)}."
            ) from error
    if not labels:
        raise DatasetError(f"The list {path} has no rows; take the lists of {_ORIGIN}.")
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
