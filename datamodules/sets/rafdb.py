"""RAF-DB, faces from the web, the seven basic expressions."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from datamodules.errors import BadSample, DatasetError, missing_root
from datamodules.files import (
    Problems,
    find_file,
    find_folder,
    folders,
    given_path,
    is_image,
    natural_key,
    nested,
    read_lines,
    read_text,
    visible,
)
from datamodules.index import Index
from datamodules.labels import RAFDB_CODES, refuse_shift, whole_number
from datamodules.sets.class_folders import class_files
from datamodules.sets.counts import compare_counts
from datamodules.sets.lists.challenge_lists import read_challenge_lists
from datamodules.stills.module import FaceDataModule
from datamodules.synthetic import write_rafdb

_LISTS = ("list_patition_label.txt", "list_partition_label.txt")  # the first is the official one
_ROW = re.compile(r"((?:train|test)_\d+)\.jpg\s+(\S+)", re.ASCII)
_NAME = re.compile(r"(train_\d{5}|test_\d{4})(?:_aligned)?", re.ASCII)
_FILE = re.compile(rf"{_NAME.pattern}\.\w+", re.ASCII)
_PARTS = {"train": "train", "test": "test", "val": "val", "valid": "val", "validation": "val"}
_PUBLISHED = {
    "train": dict(zip(range(1, 8), (1290, 281, 717, 4772, 1982, 705, 2524), strict=True)),
    "test": dict(zip(range(1, 8), (329, 74, 160, 1185, 478, 162, 680), strict=True)),
}
_POINTS = 5
_ATTRIBUTES = {
    "gender": ("male", "female", "unsure"),
    "race": ("Caucasian", "African-American", "Asian"),
    "age": ("0-3", "4-19", "20-39", "40-69", "70+"),
}
"""What Annotation/manual says of each face, by the codes from 0."""


class RAFDBDataModule(FaceDataModule):
    """RAF-DB basic: 12,271 faces to train on and 3,068 to test, aligned, 100 x 100.

    The copy with a folder for each label, `DATASET/{train,test}/{1..7}/`, is read as well. There
    is no official validation set: `val_share` of train is cut for it, but where the copy has a
    folder `val` beside those two.

    Args:
        lists: Folder with lists of occluded and turned test faces, see `challenge_lists`; null
            looks for a folder `lists` in the root.
        strict_counts: Whether other counts than the published ones are an error.
        **kwargs: See `FaceDataModule`.

    Reference:
        Li, Deng and Du, Reliable crowdsourcing and deep locality-preserving learning for
        expression recognition in the wild, CVPR 2017.
    """

    name = "RAF-DB"
    tree = """
basic/EmoLabel/list_patition_label.txt
basic/Image/aligned/train_00001_aligned.jpg ...
basic/Annotation/manual/train_00001_manu_attri.txt ...   (for groups of people)
"""
    origin = "whdeng.cn/RAF/model1.html, by e-mail, for non-commercial research"

    def __init__(
        self, lists: str | None = None, strict_counts: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self._lists = given_path("lists", lists)
        self._strict_counts = strict_counts

    def write_embedded(self, folder: Path) -> Path:
        """Draw the embedded faces, once."""
        root = folder / "rafdb"
        write_rafdb(root)
        return root

    def groups(self, sample_ids: Sequence[int]) -> dict[str, list[str]]:
        """Return gender, race and age of the faces, where there is the folder Annotation."""
        index = self._open().index
        files = [] if index.files is None else index.files
        notes = _find_annotations(files[0]) if len(files) else None
        if notes is None:
            return {}
        names = (index.names[number] for number in sample_ids)
        rows = [_read_person(notes / f"{name}_manu_attri.txt") for name in names]
        return {attribute: [row[i] for row in rows] for i, attribute in enumerate(_ATTRIBUTES)}

    def read_index(self, root: Path) -> Index:
        """Find the labelled faces of RAF-DB.

        Returns:
            The faces in the order of their names, with the official split.

        Raises:
            DatasetError: If the data set is not there, or is the one of compound expressions.
        """
        problems: Problems = []
        labels_folder = _find_labels(root)
        if labels_folder is not None:
            found = _official(labels_folder, problems)
        else:
            copy = _folders_of_labels(root)
            if copy is None:
                raise missing_root(RAFDBDataModule, root)
            found = _from_folders(copy, problems)
        names = sorted(found, key=lambda name: (name.startswith("test"), natural_key(name)))
        codes = [found[name].code for name in names]
        splits = [found[name].part for name in names]
        expressions = np.array([RAFDB_CODES[code] for code in codes], np.int8)
        notes = [_compare(root, splits, codes, self._strict_counts)]
        hard = read_challenge_lists("RAF-DB", root, self._lists, names, expressions)
        subsets, notes = hard.subsets, notes + hard.notes
        return Index(
            names=names,
            files=[found[name].path for name in names],
            expressions=expressions,
            splits=splits,
            subsets=subsets,
            problems=problems,
            left_out=_other_versions(root),
            notes=notes,
        )


def _find_annotations(file: Path) -> Path | None:
    """Find the notes about people, Annotation/manual, of the data set that a picture is in."""
    found = (find_folder(above, ("Annotation",), depth=0) for above in list(file.parents)[1:5])
    folder = next(filter(None, found), None)
    return None if folder is None else find_folder(folder, ("manual",), depth=1)


def _read_person(path: Path) -> tuple[str, ...]:
    """Read gender, race and age behind the five points of a face; empty where they are not given.

    They are one number each, on the last three lines.
    """
    try:
        lines = [line for line in read_text(path).splitlines() if line.strip()]
    except BadSample:
        return ("",) * len(_ATTRIBUTES)
    codes = [whole_number(line) for line in lines[_POINTS:]]
    if len(codes) != len(_ATTRIBUTES):
        return ("",) * len(_ATTRIBUTES)
    return tuple(
        words[code] if code is not None and 0 <= code < len(words) else ""
        for words, code in zip(_ATTRIBUTES.values(), codes, strict=True)
    )


class _Face(NamedTuple):
    part: str
    code: int
    path: Path


def _other_versions(root: Path) -> list[Path]:
    """Find the pictures of RAF-DB before alignment, and the set of compound expressions."""
    found = (find_folder(root, (name,), depth=3) for name in ("original", "compound"))
    return [folder for folder in found if folder is not None]


def _find_labels(root: Path) -> Path | None:
    """Find the folder EmoLabel, but not that of the compound expressions."""
    found = find_folder(root, ("EmoLabel",))
    if found is None or found.parent.name.lower() != "compound":
        return found
    beside = [path / found.name for path in folders(found.parent.parent) if path != found.parent]
    basic = next((path for path in beside if path.is_dir()), None)
    if basic is None:
        raise DatasetError(
            f"{found.parent} is RAF-DB's set of compound expressions; expected the set basic."
        )
    return basic


def _official(labels_folder: Path, problems: Problems) -> dict[str, _Face]:
    """Read the list of labels, and find the image of each line."""
    listing = find_file(labels_folder, _LISTS, depth=0)
    if listing is None:
        raise DatasetError(f"{labels_folder} holds no {_LISTS[0]}; unpack RAF-DB again.")
    images = find_folder(labels_folder.parent, ("aligned",))
    if images is None:
        raise DatasetError(
            f"{labels_folder.parent} has no folder Image/aligned; unpack aligned.zip there."
        )
    files = _images(nested(images, "aligned"), problems)
    codes: dict[str, int] = {}
    for number, line in read_lines(listing):
        row = _ROW.fullmatch(line)
        code = None if row is None or not _NAME.fullmatch(row[1]) else whole_number(row[2])
        if row is None or code is None:
            problems.append(
                (listing, f"line {number} is {line!r}, not an image and a label 1 to 7")
            )
        elif codes.setdefault(row[1], code) != code:
            problems.append((listing, f"line {number} contradicts an earlier one of {row[1]}"))
    if not codes:
        raise DatasetError(
            f"{listing} is no list of RAF-DB's set basic; expected lines like train_00001.jpg 5."
        )
    refuse_shift(listing, codes.values(), RAFDB_CODES)
    found = {}
    for name, code in codes.items():
        if code not in RAFDB_CODES:
            problems.append((listing, f"gives {name} the label {code}, not 1 to 7"))
        elif name not in files:
            problems.append((images / f"{name}_aligned.jpg", "is in the list but not there"))
        else:
            found[name] = _Face(name.partition("_")[0], code, files[name])
    return found


def _folders_of_labels(root: Path) -> Path | None:
    """Find the folder above `train/1` to `train/7` of the copy."""
    train = find_folder(root, ("train",))
    if train is None or not (train / "1").is_dir():
        return None
    labels = (whole_number(folder.name) for folder in folders(train))
    refuse_shift(f"{train}, by the names of its folders,", labels, RAFDB_CODES)
    return train.parent


def _from_folders(copy: Path, problems: Problems) -> dict[str, _Face]:
    """Read the copy that has a folder for each label."""
    words = {str(code): expression for code, expression in RAFDB_CODES.items()}
    found: dict[str, _Face] = {}
    for file in class_files(copy, _FILE, words, problems):
        name, where = file.fields[1], file.path.parent.parent.name
        part = _PARTS.get(where.lower())
        if part is None or not name.startswith("train" if part == "val" else part):
            problems.append((file.path, f"lies in the folder {where}"))
        elif name in found:
            problems.append((file.path, f"is {found[name].path} with another name"))
        else:
            found[name] = _Face(part, int(file.path.parent.name), file.path)
    return found


def _images(folder: Path, problems: Problems) -> dict[str, Path]:
    """List the images of a folder by the names that the list of labels has for them."""
    found: dict[str, Path] = {}
    for path in visible(folder):
        name = _NAME.fullmatch(path.stem)
        if name is not None and is_image(path):
            first = found.setdefault(name[1], path)
            if first != path:
                problems.append((path, f"is a second picture {name[1]}, beside {first.name}"))
    return found


def _compare(root: Path, splits: list[str], codes: list[int], strict: bool) -> str:
    counts = Counter(zip(splits, codes, strict=True))
    published = {
        f"{split} {RAFDB_CODES[code].name.lower()}": (split, code, count)
        for split, part in _PUBLISHED.items()
        for code, count in part.items()
    }
    return compare_counts(
        "RAF-DB",
        root,
        {name: counts[split, code] for name, (split, code, _) in published.items()},
        {name: count for name, (_, _, count) in published.items()},
        strict=strict,
    )
