"""FERPlus, the faces of FER2013 with the votes of ten raters."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from datamodules.errors import missing_root
from datamodules.files import Problems, find_folder, given_path, natural_key, visible
from datamodules.index import Index
from datamodules.sets.counts import compare_counts
from datamodules.sets.lists.challenge_lists import read_challenge_lists
from datamodules.sets.lists.ferplus_votes import COLUMNS, VoteRow, read_labels, read_votes
from datamodules.sets.lists.vote_rules import Rule, vote_labels
from datamodules.stills.module import FaceDataModule
from datamodules.synthetic import write_ferplus

VotesFile = Literal["label.csv", "fer2013new.csv"]
"""Which file the votes are from."""

Validation = Literal["official", "train"]
"""What validates: the official Valid part, or a share of Train while Valid is tested on."""

_FOLDERS = {"train": "FER2013Train", "val": "FER2013Valid", "test": "FER2013Test"}
_USAGES = {"train": "Training", "val": "PublicTest", "test": "PrivateTest"}
KNOWN_BAD = frozenset({"fer0033120"})
"""Images that are no faces and have a label all the same: a warning sign that counts as neutral."""
# Kept rows of label.csv in train, val and test; the majority is that of the publication.
_PUBLISHED = {
    "majority": (25_045, 3_191, 3_137),
    "argmax": (28_385, 3_555, 3_545),
    "argmax8": (28_556, 3_579, 3_573),
    "soft": (28_556, 3_579, 3_573),
    "multi": (27_667, 3_472, 3_466),
}


class FERPlusDataModule(FaceDataModule):
    """FERPlus: 28,558 faces to train on, 3,579 to validate and 3,573 to test, 48 x 48 and grey.

    Args:
        rule: What makes a label of ten votes: majority (the official rule, which drops images
            without one), argmax, argmax8, soft or multi; see `vote_rules`.
        votes_file: label.csv, which lies with the images, or fer2013new.csv. They disagree on
            1,602 images, all of them copies of others; published counts follow label.csv.
        validation: official validates on the part Valid. train cuts `val_share` of the part Train
            for that and tests on Valid, so that nothing is chosen on the images of the result.
        drop_known_bad: Whether images that are known to be no faces are left out.
        lists: Folder with lists of occluded and turned test faces, see `challenge_lists`; null
            looks for a folder `lists` in the root.
        strict_counts: Whether other counts than those of the rule are an error.
        **kwargs: See `FaceDataModule`.

    Reference:
        Barsoum et al., Training deep networks for facial expression recognition with
        crowd-sourced label distribution, ICMI 2016.
    """

    name = "FERPlus"
    tree = """
data/FER2013Train/label.csv, fer0000000.png ...
data/FER2013Valid/label.csv, fer0028638.png ...
data/FER2013Test/label.csv, fer0032220.png ...
fer2013new.csv (only for data.votes_file=fer2013new.csv)
"""
    origin = (
        "github.com/microsoft/FERPlus; its generate_training_data.py makes the images from "
        "fer2013.csv of the Kaggle challenge on facial expression recognition"
    )

    def __init__(
        self,
        rule: Rule = "majority",
        votes_file: VotesFile = "label.csv",
        validation: Validation = "official",
        drop_known_bad: bool = False,
        lists: str | None = None,
        strict_counts: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._rule = rule
        self._votes_file = votes_file
        self._validation = validation
        self._drop_known_bad = drop_known_bad
        self._lists = given_path("lists", lists)
        self._strict_counts = strict_counts

    def write_embedded(self, folder: Path) -> Path:
        """Draw the embedded faces, once."""
        root = folder / "ferplus"
        write_ferplus(root)
        return root

    def read_index(self, root: Path) -> Index:
        """Find the faces of FERPlus to which a rule gives a label.

        Returns:
            The faces in the order of parts and names. A part whose folder is missing has none.

        Raises:
            DatasetError: If the data set is not there, or a list cannot be read.
            ValueError: If there is no such rule.

        Deviation:
            Some names occur twice in fer2013new.csv. The official script writes the later image
            over the earlier, so the later row counts.
        """
        place = find_folder(root, tuple(_FOLDERS.values()), depth=3)
        if place is None:
            raise missing_root(FERPlusDataModule, root)
        table = None if self._votes_file == "label.csv" else read_votes(place.parent)
        problems: Problems = []
        notes: list[str] = []
        files: list[Path] = []
        splits, votes = [], []
        for split, folder_name in _FOLDERS.items():
            folder = place.parent / folder_name
            if not folder.is_dir():
                notes.append(f"{folder_name} is not there, so the part {split} is empty")
                continue
            rows = read_labels(folder, problems) if table is None else table[_USAGES[split]]
            kept = _with_images(
                rows, folder, problems, notes, KNOWN_BAD if self._drop_known_bad else ()
            )
            files += kept
            votes += [row.votes for row in kept.values()]
            splits += [split] * len(kept)
        labels = vote_labels(np.array(votes, np.int64).reshape(-1, len(COLUMNS)), self._rule)
        chosen = np.flatnonzero(labels.expressions >= 0)
        parts = np.array(splits, np.str_)
        for split in dict.fromkeys(splits):
            part = parts == split
            found = int((labels.expressions[part] >= 0).sum())
            notes.append(
                f"{split}, {self._rule} of {self._votes_file}: {found} kept, "
                f"{int(part.sum()) - found} dropped, {int(labels.tied[part].sum())} tied"
            )
        if self._votes_file == "label.csv":
            counts = {split: int((parts[chosen] == split).sum()) for split in dict.fromkeys(splits)}
            every = dict(zip(_FOLDERS, _PUBLISHED[self._rule], strict=True))
            published = {split: every[split] for split in counts}
            notes.append(
                compare_counts("FERPlus", root, counts, published, strict=self._strict_counts)
            )
        if self._validation == "train":
            chosen, parts = _tested_on_valid(chosen, parts, notes)
        names = [files[row].stem for row in chosen]
        expressions = labels.expressions[chosen]
        hard = read_challenge_lists("FERPlus", root, self._lists, names, expressions)
        subsets, notes = hard.subsets, notes + hard.notes
        return Index(
            names=names,
            files=[files[row] for row in chosen],
            expressions=expressions,
            splits=[str(part) for part in parts[chosen]],
            votes=labels.shares[chosen],
            subsets=subsets,
            problems=problems,
            left_out=files,  # what the rule drops
            notes=notes,
        )


def _tested_on_valid(
    chosen: NDArray[np.int64], parts: NDArray[np.str_], notes: list[str]
) -> tuple[NDArray[np.int64], NDArray[np.str_]]:
    """Make Valid the part to test on, and leave the official test images out."""
    outside = int((parts[chosen] == "test").sum())
    chosen = chosen[parts[chosen] != "test"]
    parts = np.where(parts == "val", "test", parts)
    notes.append(
        f"tested on the official Valid images, validated on a part of Train; {outside} official "
        "Test images are not used"
    )
    return chosen, parts


def _with_images(
    rows: Iterable[VoteRow],
    folder: Path,
    problems: Problems,
    notes: list[str],
    bad: Iterable[str],
) -> dict[Path, VoteRow]:
    """Keep the rows that have a name and an image, the last of each name, in natural order.

    Returns:
        The row of each image.
    """
    rows = list(rows)
    named = [row for row in rows if row.name]
    by_name = {row.name: row for row in named}
    images: dict[str, Path] = {}
    for path in visible(folder):
        if path.suffix.lower() == ".png" and images.setdefault(path.stem, path) != path:
            problems.append((path, f"is a second picture beside {images[path.stem].name}"))
    for name in sorted(by_name.keys() - images.keys(), key=natural_key):
        problems.append((folder / f"{name}.png", "has votes but is not there"))
    dropped = by_name.keys() & set(bad)
    kept = sorted((by_name.keys() & images.keys()) - dropped, key=natural_key)
    oddities = {
        "rows without a name": len(rows) - len(named),
        "rows of a name that comes again later": len(named) - len(by_name),
        "rows with other than 10 votes": sum(sum(row.votes) != 10 for row in named),
        "images known to be no faces left out": len(dropped),
    }
    notes += [f"{folder.name}: {count} {what}" for what, count in oddities.items() if count]
    return {images[name]: by_name[name] for name in kept}
