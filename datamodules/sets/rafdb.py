"""RAF-DB, faces from the web, the seven basic expressions."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from datamodules.errors import DatasetError, missing_root
from datamodules.files import (
    find_file,
    find_folder,
    folders,
    is_image,
    natural_key,
    nested,
    read_lines,
    visible,
)
from datamodules.index import Index
from datamodules.labels import RAFDB_CODES
from datamodules.sets.counts import compare_counts
from datamodules.sets.lists.challenge_lists import read_challenge_lists
from datamodules.stills.module import FaceDataModule
from datamodules.synthetic import write_rafdb

_LISTS = ("list_patition_label.txt", "list_partition_label.txt")  # the first is the official one
_ROW = re.compile(r"((?:train|test)_\d+)\.jpg\s+(\d+)")
_NAME = re.compile(r"(train_\d{5}|test_\d{4})(?:_aligned)?")
_PUBLISHED = {
    "train": dict(zip(range(1, 8), (1290, 281, 717, 4772, 1982, 705, 2524), strict=True)),
    "test": dict(zip(range(1, 8), (329, 74, 160, 1185, 478, 162, 680), strict=True)),
}

_Problems = list[tuple[Path, str]]


class RAFDBDataModule(FaceDataModule):
    """RAF-DB basic: 12,271 faces to train on and 3,068 to test, aligned, 100 x 100.

    The copy with a folder for each label, `DATASET/{train,test}/{1..7}/`, is read as well. There
    is no official validation set: `val_share` of train is cut for it.

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
"""
    origin = "whdeng.cn/RAF/model1.html, by e-mail, for non-commercial research"

    def __init__(
        self, lists: str | None = None, strict_counts: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self._lists = None if lists is None else Path(lists).expanduser()
        self._strict_counts = strict_counts

    def write_embedded(self, folder: Path) -> Path:
        """Draw the embedded faces, once."""
        root = folder / "rafdb"
        write_rafdb(root)
        return root

    def read_index(self, root: Path) -> Index:
        """Find the labelled faces of RAF-DB.

        Returns:
            The faces in the order of their names, with the official split.

        Raises:
            DatasetError: If the data set is not there, or is the one of compound expressions.
        """
        problems: _Problems = []
        labels_folder = _find_labels(root)
        if labels_folder is not None:
            found = _official(labels_folder, problems)
        else:
            copy = _folders_of_labels(root)
            if copy is None:
                raise missing_root(RAFDBDataModule, root)
            found = _from_folders(copy, problems)
        names = sorted(found, key=lambda name: (name.startswith("test"), natural_key(name)))
        codes = [found[name][0] for name in names]
        splits = [name.partition("_")[0] for name in names]
        expressions = np.array([RAFDB_CODES[code] for code in codes], np.int8)
        notes = [_compare(root, splits, codes, self._strict_counts)]
        hard = read_challenge_lists("RAF-DB", root, self._lists, names, expressions)
        subsets, notes = hard.subsets, notes + hard.notes
        return Index(
            names=names,
            files=[found[name][1] for name in names],
            expressions=expressions,
            splits=splits,
            subsets=subsets,
            problems=problems,
            notes=notes,
        )


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


def _official(labels_folder: Path, problems: _Problems) -> dict[str, tuple[int, Path]]:
    """Read the list of labels, and find the image of each line."""
    listing = find_file(labels_folder, _LISTS, depth=0)
    if listing is None:
        raise DatasetError(f"{labels_folder} holds no {_LISTS[0]}; unpack RAF-DB again.")
    images = find_folder(labels_folder.parent, ("aligned",))
    if images is None:
        raise DatasetError(
            f"{labels_folder.parent} has no folder Image/aligned; unpack aligned.zip there."
        )
    files = _images(nested(images, "aligned"))
    found = {}
    seen = set()
    for number, line in read_lines(listing):
        row = _ROW.fullmatch(line)
        if row is None or not _NAME.fullmatch(row[1]) or int(row[2]) not in RAFDB_CODES:
            problems.append(
                (listing, f"line {number} is {line!r}, not an image and a label 1 to 7")
            )
            continue
        name, code = row[1], int(row[2])
        if name in seen:
            problems.append((listing, f"line {number} names {name} a second time"))
        elif name not in files:
            problems.append((images / f"{name}_aligned.jpg", "is in the list but not there"))
        else:
            found[name] = (code, files[name])
        seen.add(name)
    if not seen:
        raise DatasetError(
            f"{listing} is no list of RAF-DB's set basic; expected lines like train_00001.jpg 5."
        )
    problems.extend((files[name], "has no label in the list") for name in files if name not in seen)
    return found


def _folders_of_labels(root: Path) -> Path | None:
    """Find the folder above `train/1` to `train/7` of the copy."""
    train = find_folder(root, ("train",))
    if train is None or not (train / "1").is_dir():
        return None
    return train.parent


def _from_folders(copy: Path, problems: _Problems) -> dict[str, tuple[int, Path]]:
    """Read the copy that has a folder for each label."""
    places: dict[str, list[tuple[int, Path]]] = {}
    for split in ("train", "test"):
        for code in sorted(RAFDB_CODES):
            folder = copy / split / str(code)
            for name, path in _images(folder).items() if folder.is_dir() else ():
                if name.startswith(split):
                    places.setdefault(name, []).append((code, path))
                else:
                    problems.append((path, f"lies in the folder {split}"))
    several = [where for where in places.values() if len(where) > 1]
    problems.extend(
        (path, f"is {where[0][1]} with another label") for where in several for _, path in where[1:]
    )
    return {name: where[0] for name, where in places.items() if len(where) == 1}


def _images(folder: Path) -> dict[str, Path]:
    """List the images of a folder by the names that the list of labels has for them."""
    found = {}
    for path in visible(folder):
        name = _NAME.fullmatch(path.stem)
        if name is not None and is_image(path):
            found[name[1]] = path
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
