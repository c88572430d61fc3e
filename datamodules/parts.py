"""The usable images that train, validate and test, with what is known about each."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from datamodules.duplicates import Duplicates, open_duplicates
from datamodules.errors import DatasetError
from datamodules.folds import Protocol, folds_hash
from datamodules.index import Index
from datamodules.labels import CLASS_SETS, class_names
from datamodules.leak_guard import pack_rows
from datamodules.loaders import CacheDataset
from datamodules.stills.split import FaceSplit, people_in, stratified_order
from datamodules.store.cache import Cache

WITHOUT_DUPLICATES = "without_duplicates"

_NEEDED = {"fit": ("train", "val"), "validate": ("val",), "test": ("test",)}


class FaceParts:
    """The parts of a data set.

    Args:
        index: The data set.
        classes: int64 [N], class of each image, -1 for none.
        split: Its parts.
        cache: Its cache, with a row for each image.
        expressions: Name of the set of classes.
        unlabelled: Whether images without a label train too.
        train_limit: Most labelled images to train on, None for all; so many without a label come
            beside them where those train too.
        seed: Seed of the choice.

    Attributes:
        rows: int64 arrays by the names train, val and test: rows of the cache; may be empty.
        subjects: Names of the people of each part; nobody where they are not known.
        folds_hash: Fingerprint of the assignment to parts or folds.
    """

    def __init__(
        self,
        index: Index,
        classes: NDArray[np.int64],
        split: FaceSplit,
        cache: Cache,
        *,
        expressions: str,
        unlabelled: bool,
        train_limit: int | None,
        seed: int,
    ) -> None:
        self.index = index
        self.classes = classes
        self.split = split
        self.cache = cache
        self.class_names = class_names(expressions)
        self._expressions = expressions
        self.rows = {name: part[cache.valid[part]] for name, part in split.parts._asdict().items()}
        self.usable_for_training = len(self.rows["train"])
        self.rows["train"] = self._limited(self.rows["train"], train_limit, seed)
        if unlabelled:
            free = self._limited(split.unlabelled[cache.valid[split.unlabelled]], train_limit, seed)
            self.rows["train"] = np.sort(np.concatenate([self.rows["train"], free]))
        self.subjects = {name: people_in(index, rows) for name, rows in self.rows.items()}
        self.folds_hash = folds_hash(self.protocol())
        self._duplicates: Duplicates | None = None

    def protocol(self) -> Protocol:
        """Write the assignment to parts or folds down in the form of the protocol files."""
        return self.split.protocol(self.index, self.class_names, self._expressions)

    def has_labels(self) -> bool:
        """Tell whether any image is in a part; a data set to pretrain on may have no label."""
        return bool((self.split.fold_of >= 0).any())

    def check(self, stage: str | None) -> None:
        """Make sure that a stage has what it needs.

        Args:
            stage: fit, validate or test; None needs nothing.

        Raises:
            DatasetError: If a part is empty, or a class has no training image.
        """
        needed = _NEEDED.get(stage or "", ())
        if not self.has_labels() and stage == "fit":
            needed = ("train",)
        if empty := [name for name in needed if not len(self.rows[name])]:
            raise DatasetError(
                f"There is no usable image of the classes {', '.join(self.class_names)} in "
                f"{' and '.join(empty)}; {self._counted()}."
            )
        everywhere = np.bincount(self.classes[self.classes >= 0], minlength=len(self.class_names))
        missing = [
            name
            for name, training, all_of_it in zip(
                self.class_names, self.class_counts("train"), everywhere, strict=True
            )
            if training == 0 and all_of_it > 0
        ]
        if stage == "fit" and missing:
            raise DatasetError(
                f"No training image is left of the classes {', '.join(missing)}, though the data "
                "set has some: use another data.seed, data.fold or data.train_limit, or a set of "
                "data.expressions without them."
            )

    def class_counts(self, part: str) -> tuple[int, ...]:
        """Count the images of each class in a part."""
        classes = self.classes[self.rows[part]]
        counts = np.bincount(classes[classes >= 0], minlength=len(self.class_names))
        return tuple(counts.tolist())

    def balancing_weights(self) -> NDArray[np.float64]:
        """Weigh the training images such that classes come equally often.

        Returns:
            float64 [N] in the order of the training part; images without a label weigh as much as
            a labelled one does on average.
        """
        counts = np.array(self.class_counts("train"), np.float64)
        weight = np.divide(counts.sum(), counts, out=np.zeros_like(counts), where=counts > 0)
        weight /= max(int((counts > 0).sum()), 1)
        of_class: NDArray[np.float64] = np.append(weight, 1.0)  # -1 picks the last
        return np.asarray(of_class[self.classes[self.rows["train"]]], np.float64)

    def dataset(self, part: str) -> CacheDataset:
        """Make the data set of one part.

        Args:
            part: train, val or test; test has `subsets`.

        Raises:
            DatasetError: If the part is empty.
        """
        if not len(self.rows[part]):
            raise DatasetError(f"There is no usable image in {part}; {self._counted()}.")
        columns: dict[str, NDArray[Any]] = {"label": self.classes}
        if self.index.votes is not None:
            columns["votes"] = self._votes(self.index.votes)
        if self.index.action_units is not None:
            columns["action_units"] = self.index.action_units.astype(np.float32)
        if part == "test":
            columns["subsets"] = np.stack([*self.index.subsets.values(), self._alone()], axis=1)
        return CacheDataset(self.cache, self.rows[part], columns)

    def subset_names(self) -> tuple[str, ...]:
        """Name the columns of `subsets` in test batches."""
        return (*self.index.subsets, WITHOUT_DUPLICATES)

    def duplicates(self) -> Duplicates:
        """Look for equal and nearly equal images, once; what was found is kept on disk."""
        if self._duplicates is None:
            self._duplicates = open_duplicates(self.cache)
        return self._duplicates

    def trained_rows(self) -> dict[str, str]:
        """Describe the training rows for a checkpoint, see `state.refuse_rows`."""
        rows = pack_rows(self.rows["train"], len(self.index))
        return {"names_hash": self.index.names_hash(), "train_rows": rows}

    def _alone(self) -> NDArray[np.bool_]:
        return ~self.duplicates().twins(self.rows["train"])

    def _votes(self, votes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Share the votes out over the classes of this run; rows sum to 1, or 0 without a label."""
        chosen = votes[:, list(CLASS_SETS[self._expressions])].astype(np.float32)
        chosen[self.classes < 0] = 0
        total = chosen.sum(axis=1)
        lost = np.flatnonzero((self.classes >= 0) & (total == 0))
        chosen[lost, self.classes[lost]] = 1  # nobody voted for a class: the label alone counts
        total[lost] = 1
        return np.asarray(chosen / np.maximum(total, np.finfo(np.float32).tiny)[:, None])

    def _limited(self, rows: NDArray[np.int64], limit: int | None, seed: int) -> NDArray[np.int64]:
        if limit is None or limit >= len(rows):
            return rows
        return np.sort(rows[stratified_order(self.classes[rows], seed)[:limit]])

    def _counted(self) -> str:
        sizes = ", ".join(f"{name} {len(rows)}" for name, rows in self.rows.items())
        return f"of {len(self.index)} images found these are usable: {sizes}"
