"""CelebA: 200,000 faces of celebrities without expressions, to learn features from."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from datamodules.errors import DatasetError, missing_root
from datamodules.files import Problems, find_file, find_folder, nested, read_lines
from datamodules.index import Index
from datamodules.sets.counts import compare_counts
from datamodules.stills.module import FaceDataModule

_IMAGES = "img_align_celeba"
_NAME = re.compile(r"\d{6}\.(jpg|png)", re.IGNORECASE)
# The square in the middle of 178 x 218 pixels, in which the eyes are always at one place.
_BOX = np.array([0, 20, 178, 178], np.int64)
_PARTS = {"0": "train", "1": "val", "2": "test"}
_PUBLISHED = {"train": 162_770, "val": 19_867, "test": 19_962}


class CelebADataModule(FaceDataModule):
    """CelebA: aligned faces of 178 x 218 pixels for training without labels.

    Args:
        exclude: Attributes whose faces are left out, e.g. Eyeglasses, Wearing_Hat, Blurry.
        strict_counts: Whether another number of faces than published is an error.
        **kwargs: See `FaceDataModule`.

    Attributes:
        labelled: Always false: there is nothing to classify.

    Reference:
        Liu et al., Deep learning face attributes in the wild, ICCV 2015.
    """

    name = "CelebA"
    tree = """
img_align_celeba/000001.jpg ...
list_eval_partition.txt
list_attr_celeba.txt (only to leave out faces by their attributes)
identity_CelebA.txt (who is who)
"""
    origin = "mmlab.ie.cuhk.edu.hk/projects/CelebA.html, for non-commercial research"
    labelled = False

    def __init__(
        self, exclude: Sequence[str] = (), strict_counts: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(unlabelled=True, **kwargs)
        self._exclude, self._strict = tuple(exclude), strict_counts

    def read_index(self, root: Path) -> Index:
        """Find the faces of CelebA.

        Returns:
            One row a face, in the order of the names, in its official part; nobody is in two.
            Without the list of parts all train, without the list of identities nobody knows who
            is who.

        Raises:
            DatasetError: If there are no faces, or a list is damaged or needed and not there.
        """
        images = _images(root)
        if images is None:
            raise missing_root(CelebADataModule, root)
        with os.scandir(images) as entries:
            found = sorted(entry.name for entry in entries if _NAME.fullmatch(entry.name))
        names = list({name[:-4]: name for name in found}.values())  # rather .jpg than .JPG
        notes = [f"{len(names)} faces of CelebA found"]
        taken = set(names)
        problems: Problems = [
            (images / name, "is a second picture of its number")
            for name in found
            if name not in taken
        ]
        if self._exclude:
            names = _without(names, self._exclude, root, notes)
        parts = _pairs(root, "list_eval_partition")
        splits = ["train"] * len(names)
        if parts is None:
            notes.append("there is no list_eval_partition, so all faces train")
        else:
            listed = [_PARTS.get(parts.get(name, "")) for name in names]
            unknown = [images / n for n, part in zip(names, listed, strict=True) if part is None]
            problems += [(path, "is in no part of list_eval_partition") for path in unknown]
            kept = [row for row in zip(names, listed, strict=True) if row[1] is not None]
            names = [name for name, _ in kept]
            splits = [str(part) for _, part in kept]
            if not self._exclude:
                present = set(names)
                lost = sorted(
                    name for name in parts if name not in present and _NAME.fullmatch(name)
                )
                problems += [(images / name, "is listed but not there") for name in lost]
                counts = {part: splits.count(part) for part in _PUBLISHED}
                notes.append(
                    compare_counts("CelebA", root, counts, _PUBLISHED, strict=self._strict)
                )
        people = _pairs(root, "identity_CelebA")
        # A face without identity is a person of its own: it can be taken for nobody else's.
        subjects = None if people is None else [people.get(name, name) for name in names]
        return Index(
            names=[name[:-4] for name in names],
            files=[images / name for name in names],
            expressions=np.full(len(names), -1, np.int8),
            splits=splits,
            subjects=subjects,
            boxes=np.tile(_BOX, (len(names), 1)),
            problems=problems,
            left_out=[images / name for name in taken] if self._exclude else [],
            notes=notes,
        )


def _images(root: Path) -> Path | None:
    """Find the folder of the faces; one copy has it twice, one in the other."""
    is_it = root.name.lower() == _IMAGES and root.is_dir()
    found = root if is_it else find_folder(root, (_IMAGES,))
    return None if found is None else nested(found, _IMAGES)


def _without(names: list[str], exclude: Sequence[str], root: Path, notes: list[str]) -> list[str]:
    """Leave out the faces that have one of some attributes."""
    path = _list(root, "list_attr_celeba")
    if path is None:
        raise DatasetError(
            f"data.exclude needs list_attr_celeba.txt (or .csv), which is not in {root}."
        )
    lines, header = _rows(path)
    attributes = [name for name in header.replace(",", " ").split() if name != "image_id"]
    for attribute in exclude:
        if attribute not in attributes:
            raise DatasetError(
                f"{path} has no attribute {attribute}; there is {', '.join(attributes) or 'none'}."
            )
    columns = [attributes.index(attribute) + 1 for attribute in exclude]
    has: dict[str, list[str]] = {}
    for number, line in lines:
        values = line.replace(",", " ").split(None, max(columns) + 1)
        if len(values) <= max(columns):
            raise _too_short(path, number, line)
        has[values[0]] = [values[column] for column in columns]
    none = ["-1"] * len(columns)
    shown = np.array([has.get(name, none) for name in names]).reshape(-1, len(columns)) == "1"
    for attribute, column in zip(exclude, shown.T, strict=True):
        notes.append(f"{int(column.sum())} faces with {attribute} left out")
    return [names[row] for row in np.flatnonzero(~shown.any(axis=1))]


def _pairs(root: Path, stem: str) -> dict[str, str] | None:
    """Read a list of two columns, by the names of the faces; None where there is none."""
    path = _list(root, stem)
    if path is None:
        return None
    lines, _ = _rows(path)
    # All at once: a list for each of 200,000 lines takes longer than the rest.
    words = "\n".join(line for _, line in lines).replace(",", " ").split()
    for number, line in lines if len(words) % 2 else ():
        if len(line.replace(",", " ").split()) == 1:
            raise _too_short(path, number, line)
    return dict(zip(words[::2], words[1::2], strict=True))


def _rows(path: Path) -> tuple[list[tuple[int, str]], str]:
    """Read the lines of a list that name a face, and the line before them, the header if any."""
    lines = read_lines(path)
    begin = next((i for i, (_, line) in enumerate(lines) if _NAME.match(line)), len(lines))
    return lines[begin:], lines[begin - 1][1] if begin else ""


def _too_short(path: Path, number: int, line: str) -> DatasetError:
    return DatasetError(f"{path} line {number} has too few columns: {line!r}.")


def _list(root: Path, stem: str) -> Path | None:
    return find_file(root, (f"{stem}.txt", f"{stem}.csv"), depth=3)
