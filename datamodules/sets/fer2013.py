"""FER2013, faces of a Kaggle challenge, 48 x 48 and grey."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datamodules.errors import DatasetError, missing_root, printable
from datamodules.files import Problems, find_file, find_folder, folders, read_table
from datamodules.index import Index
from datamodules.labels import EXPRESSION_WORDS, FER2013_CODES, refuse_shift, whole_number
from datamodules.sets.class_folders import class_files
from datamodules.sets.counts import compare_counts
from datamodules.stills.module import FaceDataModule

_FILES = ("fer2013.csv", "icml_face_data.csv", "train.csv")
_SPLITS = {"training": "train", "publictest": "val", "privatetest": "test"}
_SIDE = 48
_CLASSES = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
_NAME = re.compile(r"(Training|PublicTest|PrivateTest)_\d+", re.IGNORECASE)
_ANY = re.compile(r".+")
_CODE_OF = {expression: code for code, expression in FER2013_CODES.items()}
# In the order of the data set's codes.
_PUBLISHED = {
    "train": (3995, 436, 4097, 7215, 4830, 3171, 4965),
    "val": (467, 56, 496, 895, 653, 415, 607),
    "test": (491, 55, 528, 879, 594, 416, 626),
}


class FER2013DataModule(FaceDataModule):
    """FER2013: 28,709 faces to train on, 3,589 (PublicTest) to validate, 3,589 to test.

    Read as well: `icml_face_data.csv`, the challenge's own `train.csv`, whose test images have no
    labels, and copies `{train,test}/{angry,...}/Training_123.jpg`, where the name tells the split.

    Args:
        strict_counts: Whether other counts than the published ones are an error.
        **kwargs: See `FaceDataModule`.

    Reference:
        Goodfellow et al., Challenges in representation learning, ICONIP 2013.

    Deviation:
        Copies of some images are in more than one split; they stay, as in published results.
    """

    name = "FER2013"
    tree = """
fer2013.csv with the columns emotion, pixels, Usage
  or icml_face_data.csv, or train.csv of the challenge (no labels for its test images),
  or {train,test}/{angry,disgust,fear,happy,neutral,sad,surprise}/Training_123.jpg
"""
    origin = (
        "the Kaggle challenges-in-representation-learning-facial-expression-recognition-challenge"
    )

    def __init__(self, strict_counts: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._strict_counts = strict_counts

    def read_index(self, root: Path) -> Index:
        """Find the labelled faces of FER2013.

        Returns:
            The faces in the order of the file, or of folders and names, with the official split.

        Raises:
            DatasetError: If the data set is not there, or the file has other columns.
        """
        path = find_file(root, _FILES)
        if path is not None:
            names, pixels, codes, splits, problems = _from_csv(path)
            files = None
        else:
            train = find_folder(root, ("train",))
            if train is None or not any(
                folder.name.lower() in EXPRESSION_WORDS for folder in folders(train)
            ):
                raise missing_root(FER2013DataModule, root)
            names, files, codes, splits, problems = _from_folders(train.parent)
            pixels = None
        expressions = np.array([FER2013_CODES[code] for code in codes], np.int8)
        return Index(
            names=names,
            files=files,
            pixels=pixels,
            expressions=expressions,
            splits=splits,
            problems=problems,
            notes=[_compare(root, splits, codes, self._strict_counts)],
        )


def _from_csv(
    path: Path,
) -> tuple[list[str], NDArray[np.uint8], list[int], list[str], Problems]:
    """Read a CSV file; its columns come in any order, their names with or without spaces."""
    names, pixels, codes, splits = [], [], [], []
    labels: set[int | None] = set()
    problems: Problems = []
    lines = read_table(path)
    header = [cell.strip().lower() for cell in next(lines, (0, []))[1]]
    if "emotion" not in header or "pixels" not in header:
        shown = printable(", ".join(header), 200)
        raise DatasetError(
            f"{path} has the columns {shown or 'none'}; expected emotion, pixels and Usage."
        )
    default = {} if "usage" in header else {"usage": "Training"}
    for line, cells in lines:
        number = line - 2  # from 0, below the header
        row = default | dict(zip(header, cells, strict=False))
        usage = row.get("usage", "").strip()
        image = _pixels(row.get("pixels", ""))
        emotion = row.get("emotion", "").strip()
        code = whole_number(emotion)
        labels.add(code)
        if image is None:
            problems.append((path, f"row {number} does not hold {_SIDE} x {_SIDE} pixels"))
        elif code not in FER2013_CODES:
            label = printable(emotion, 40)
            problems.append((path, f"row {number} has the label {label!r}, not 0 to 6"))
        elif usage.lower() not in _SPLITS:
            problems.append((path, f"row {number} has the usage {printable(usage, 40)!r}"))
        else:
            names.append(f"{usage}_{number}")
            pixels.append(image)
            codes.append(code)
            splits.append(_SPLITS[usage.lower()])
    refuse_shift(path, labels, FER2013_CODES)
    stack = np.array(pixels, np.uint8).reshape(-1, _SIDE, _SIDE)
    return names, stack, codes, splits, problems


def _pixels(text: str) -> NDArray[np.uint8] | None:
    """Turn `70 80 82 ...` into an image; None where it is none."""
    if not text.isascii() or not text.replace(" ", "").isdigit():
        return None
    values = np.fromstring(text, np.int32, sep=" ")  # 6 times as fast as split()
    if len(values) != _SIDE * _SIDE or values.max() > 255:
        return None
    return values.reshape(_SIDE, _SIDE).astype(np.uint8)


def _from_folders(
    copy: Path,
) -> tuple[list[str], list[Path], list[int], list[str], Problems]:
    """Read a copy that has a folder for each label; the names tell the true split."""
    found: dict[str, tuple[Path, int, str]] = {}
    problems: Problems = []
    for path, expression, _ in class_files(copy, _ANY, EXPRESSION_WORDS, problems):
        name = _NAME.fullmatch(path.stem)
        if expression not in _CODE_OF:
            problems.append((path, f"is in a folder {path.parent.name}, no class of FER2013"))
        elif name is None:
            problems.append((path, "is not named after its split, like Training_123.jpg"))
        elif path.stem in found:
            problems.append((path, f"has the name of {found[path.stem][0]}"))
        else:
            found[path.stem] = (path, _CODE_OF[expression], _SPLITS[name[1].lower()])
    files = [path for path, _, _ in found.values()]
    codes = [code for _, code, _ in found.values()]
    splits = [split for _, _, split in found.values()]
    return list(found), files, codes, splits, problems


def _compare(root: Path, splits: list[str], codes: list[int], strict: bool) -> str:
    counts = Counter(f"{s} {_CLASSES[c]}" for s, c in zip(splits, codes, strict=True))
    published = {
        f"{split} {_CLASSES[code]}": count
        for split, part in _PUBLISHED.items()
        for code, count in enumerate(part)
    }
    return compare_counts("FER2013", root, counts, published, strict=strict)
