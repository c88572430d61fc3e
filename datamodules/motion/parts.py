"""The pairs that train, validate and test: rows of a cache, by the folds of their people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from datamodules.errors import DatasetError
from datamodules.folds import Split
from datamodules.loaders import PairDataset
from datamodules.motion.cache import PairCaches
from datamodules.motion.catalog import Catalog
from datamodules.motion.frontal import choose_faces, face_batches
from datamodules.store.cache import Cache


class Parts:
    """The parts of a data set, with the pairs that are usable.

    Args:
        catalog: The data set.
        cache: Its cache, with a row for each pair.
        split: Indices of the sequences of each part.
        neutral_apex: Whether to train on neutral-apex pairs.
        steps: Distances of the frame-to-frame pairs to train on; none for no such pairs.

    Attributes:
        rows: int64 arrays by the names train, val and test: the rows of the cache. Validation and
            test have neutral-apex pairs only.
        subjects: Names of the people of each part.

    Raises:
        DatasetError: If a part has no usable pair.
    """

    def __init__(
        self,
        catalog: Catalog,
        cache: Cache,
        split: Split,
        *,
        neutral_apex: bool,
        steps: tuple[int, ...],
    ) -> None:
        self._catalog = catalog
        self._cache = cache
        # Neutral-apex pairs come first, one a sequence: sequence number and row are the same.
        self._apex = {name: part[cache.valid[part]] for name, part in split._asdict().items()}
        pairs = catalog.pairs
        wanted = np.isin(pairs.second - pairs.first, steps)
        if neutral_apex:
            wanted |= pairs.is_neutral_apex
        training = np.flatnonzero(wanted & cache.valid & np.isin(pairs.sequence, split.train))
        self.rows = {**self._apex, "train": training}
        self.subjects = {name: catalog.subjects_in(part) for name, part in split._asdict().items()}
        if empty := [name for name, rows in self.rows.items() if not len(rows)]:
            raise DatasetError(f"This fold leaves no usable pair to {' and '.join(empty)}.")

    def dataset(self, name: str, registered: Cache | None = None) -> PairDataset:
        """Make the data set of one part.

        Args:
            name: train, val or test.
            registered: Cache of registered flows, with a row for each of the part's.
        """
        catalog = self._catalog
        columns = {
            "label": catalog.classes[catalog.pairs.sequence],
            "subject": catalog.subject_of[catalog.pairs.sequence],
            "is_neutral_apex": catalog.pairs.is_neutral_apex,
        }
        return PairDataset(self._cache, self.rows[name], columns, registered)

    def frontal_faces(
        self, neutral: int | None, num_classes: int, *, seed: tuple[int, ...], batch_size: int
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the frontal faces of the training part, see `choose_faces` and `face_batches`.

        Args:
            neutral: SequenceIndex of the class neutral, if there is one.
            num_classes: Number of classes.
            seed: Seed of the order.
            batch_size: Faces a batch.
        """
        rows = self._apex["train"]
        chosen = choose_faces(rows, self._catalog.classes[rows], neutral, num_classes)
        return face_batches(self._cache, *chosen, batch_size=batch_size, seed=seed)


class Opened(NamedTuple):
    """A data set that was found, split and computed."""

    catalog: Catalog
    fold_of: NDArray[np.int64]
    split: Split
    caches: PairCaches
    cache: Cache
    parts: Parts
