"""SFEW 2.0, Static Facial Expressions in the Wild: faces of films."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from datamodules.errors import missing_root
from datamodules.files import MatchingFile, Problems, matching_files, walk
from datamodules.index import Index
from datamodules.labels import EXPRESSION_WORDS
from datamodules.sets.counts import compare_counts
from datamodules.stills.module import FaceDataModule

# Film, time, frame; the name of a film may hold underscores.
_NAME = re.compile(r"(.+)_(\d{9})_(\d{8})\.png", re.IGNORECASE)
# The newer release of a part comes first.
_PARTS = {
    "train": ("train_aligned_faces",),
    "test": ("val_aligned_faces_new", "val_aligned_faces"),
}
_PUBLISHED = {"train": 891, "validation": 431}


class SFEWDataModule(FaceDataModule):
    """SFEW 2.0: aligned faces of films, 891 for training and 431 for validation.

    Args:
        strict_counts: Whether another number of faces than reported is an error.
        **kwargs: See `FaceDataModule`.

    Reference:
        Dhall et al., Static facial expressions in tough conditions, ICCV workshops 2011; Video and
        image based emotion recognition challenges in the wild: EmotiW 2015.

    Deviation:
        Labels of the official test part are withheld. As everywhere, its validation part is tested
        here; ours is cut from its training part, whole films at a time.
    """

    name = "SFEW"
    tree = """
Train/Train_Aligned_Faces/Angry/Airheads_000519240_00000005.png ...
Val/Val_Aligned_Faces_new/Val_Aligned_Faces/Angry/... (or Val/Val_Aligned_Faces/Angry/...)
"""
    origin = "the organisers of EmotiW and SFEW (A. Dhall), under a licence, for research"

    def __init__(self, strict_counts: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._strict = strict_counts

    def read_index(self, root: Path) -> Index:
        """Find the aligned faces of SFEW 2.0.

        Returns:
            One row a face. Films stand for people, who are unknown, unless a film is in both parts.

        Raises:
            DatasetError: If a part is not there.
        """
        problems: Problems = []
        visited = walk(root, problems=problems)
        classes = [folder for folder, _, _ in visited if folder.name.lower() in EXPRESSION_WORDS]
        releases = {split: _release(root, classes, names) for split, names in _PARTS.items()}
        rows: list[tuple[str, MatchingFile]] = []
        for split, (_, folders) in releases.items():
            files = [
                (split, file)
                for folder in folders
                for file in matching_files(folder, _NAME, problems=problems)
            ]
            if not files:
                raise missing_root(SFEWDataModule, root)
            stems = Counter(file.path.stem for _, file in files)
            for row in files:
                if stems[row[1].path.stem] > 1:
                    problems.append((row[1].path, "is in several classes"))
                else:
                    rows.append(row)
        films = {
            split: {file.fields[1].lower() for part, file in rows if part == split}
            for split in _PARTS
        }
        shared = sorted(films["train"] & films["test"])
        found = Counter(split for split, _ in rows)
        counts = {"train": found["train"], "validation": found["test"]}
        return Index(
            names=[
                f"{'val' if split == 'test' else split}/{file.path.stem}" for split, file in rows
            ],
            files=[file.path for _, file in rows],
            expressions=np.array(
                [EXPRESSION_WORDS[file.path.parent.name.lower()] for _, file in rows], np.int8
            ),
            splits=[split for split, _ in rows],
            subjects=None if shared else [file.fields[1].lower() for _, file in rows],
            problems=problems,
            left_out=classes,  # faces that were not aligned, older releases
            notes=[
                f"faces of {' and '.join(release for release, _ in releases.values())}",
                f"films in both parts: {', '.join(shared)}"
                if shared
                else f"{len(films['train'])} films to train on, "
                f"{len(films['test'])} others to test on",
                compare_counts("SFEW 2.0", root, counts, _PUBLISHED, strict=self._strict),
            ],
        )


def _release(root: Path, classes: list[Path], names: tuple[str, ...]) -> tuple[str, list[Path]]:
    """Choose the first release of a part that is there: its name and its class folders.

    The pictures that were not aligned lie in class folders too, outside the named folder.
    """
    for name in names:
        found = [
            folder
            for folder in classes
            if name in (part.lower() for part in folder.relative_to(root.parent).parts[:-1])
        ]
        if found:
            return name, found
    return "", []
