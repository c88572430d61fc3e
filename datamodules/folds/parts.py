"""The usable rows of a cache that train, validate and test, with what is known about each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datamodules.errors import DatasetError
from datamodules.folds.assignment import Assignment, stratified_order
from datamodules.folds.protocol import ProtocolRow, folds_hash, write_protocol
from datamodules.index import Index
from datamodules.labels import class_names
from datamodules.loaders import CacheDataset
from datamodules.store.cache import Cache
from datamodules.store.replacing import unless_read_only

_NEEDED = {"fit": ("train", "val"), "validate": ("val",), "test": ("test",)}


class Parts:
    """The parts of a data set.

    The first N rows of its cache show the N samples of the index, in their order. Further rows, if
    there are any, show other moments of the same samples; they are only trained on.

    Args:
        expressions: Name of the set of classes.
        sample_of: int64 [R], the sample that each row of the cache shows; None where each shows
            the one of its number.
        trains: bool [R], the rows that may be trained on; None for all.
        unlabelled: Whether samples without a label train too.
        train_limit: Most labelled rows to train on, None for all; so many without a label come
            beside them where those train too.
        seed: Seed of the choice.
        extra: How many samples at the end of the index train beside those of the parts, whatever
            the limit.

    Attributes:
        classes: int64 [N], class of each sample, -1 for none.
        rows: int64 rows of the cache by the names train, val and test; may be empty.
        usable_for_training: Labelled rows that could be trained on, whatever the limit.
        subjects: Names of the people of each part; nobody where they are not known.
    """

    def __init__(
        self,
        index: Index,
        assignment: Assignment,
        cache: Cache,
        *,
        expressions: str,
        sample_of: NDArray[np.int64] | None = None,
        trains: NDArray[np.bool_] | None = None,
        unlabelled: bool = False,
        train_limit: int | None = None,
        seed: int = 0,
        extra: int = 0,
    ) -> None:
        self.index = index
        self.assignment = assignment
        self.cache = cache
        self.expressions = expressions
        self.classes = index.classes(expressions)
        self.class_names = class_names(expressions)
        self.sample_of = np.arange(len(index)) if sample_of is None else sample_of
        usable = cache.valid if trains is None else cache.valid & trains
        self.rows = {part: self.samples(part) for part in ("val", "test")}
        training = np.flatnonzero(usable & np.isin(self.sample_of, assignment.parts.train))
        self.usable_for_training = len(training)
        training = self._limited(training, train_limit, seed)
        self._own = len(index) - extra
        is_extra = self.sample_of >= self._own
        if unlabelled:
            free = usable & np.isin(self.sample_of, assignment.unlabelled) & ~is_extra
            chosen = self._limited(np.flatnonzero(free), train_limit, seed)
            training = np.sort(np.concatenate([training, chosen]))
        # Of another set of classes an extra sample would have no label.
        added = np.flatnonzero(usable & is_extra & (self.classes[self.sample_of] >= 0))
        training = np.concatenate([training, added])
        self.rows = {"train": training, **self.rows}
        self.subjects = {
            name: index.people_in(self.sample_of[rows]) for name, rows in self.rows.items()
        }
        self.folds_hash = folds_hash(self.protocol())

    def protocol(self) -> list[ProtocolRow]:
        """List the assignment to parts or folds as the rows of a protocol file."""
        index, fold_of = self.index, self.assignment.fold_of
        people = index.subjects or [""] * len(index)
        labels = [*self.class_names, "none"]  # -1 picks the last
        return [
            ProtocolRow(
                people[i],
                index.names[i].removeprefix(f"{people[i]}/"),
                labels[self.classes[i]],
                int(fold_of[i]),
            )
            for i in np.flatnonzero(fold_of >= 0).tolist()
        ]

    def samples(self, part: str) -> NDArray[np.int64]:
        """List the usable labelled samples of a part: int64, rows of cache and index alike."""
        chosen: NDArray[np.int64] = getattr(self.assignment.parts, part)
        return chosen[self.cache.valid[chosen]]

    def has_labels(self) -> bool:
        """Tell whether any sample is in a part; a data set to pretrain on may have no label."""
        return bool((self.assignment.fold_of >= 0).any())

    def check(self, stage: str | None) -> None:
        """Make sure that no part is empty that a stage, fit, validate or test, needs.

        Raises:
            DatasetError: If one is.
        """
        needed = _NEEDED.get(stage or "", ())
        if not self.has_labels() and stage == "fit":
            needed = ("train",)
        if empty := [name for name in needed if not len(self.rows[name])]:
            raise DatasetError(
                f"There is no usable {self.index.kind} of the classes "
                f"{', '.join(self.class_names)} in {' and '.join(empty)}; {self._counted()}."
            )

    def check_classes(self) -> None:
        """Make sure that every class of which the data set has samples is trained on.

        Raises:
            DatasetError: If one is not.
        """
        everywhere = np.bincount(self.classes[self.classes >= 0], minlength=len(self.class_names))
        counts = zip(self.class_names, self.class_counts("train"), everywhere, strict=True)
        missing = [name for name, training, all_of_it in counts if training == 0 and all_of_it > 0]
        if missing:
            raise DatasetError(
                f"No training {self.index.kind} is left of the classes {', '.join(missing)}, "
                "though the data set has some: use another data.seed, data.fold or "
                "data.train_limit, or a set of data.expressions without them."
            )

    def class_counts(self, part: str) -> tuple[int, ...]:
        """Count the samples of each class in a part."""
        classes = self.classes[np.unique(self.sample_of[self.rows[part]])]
        counts = np.bincount(classes[classes >= 0], minlength=len(self.class_names))
        return tuple(counts.tolist())

    def balancing_weights(self) -> NDArray[np.float64]:
        """Weigh the rows trained on such that classes come equally often.

        Returns:
            float64 [N] in the order of the training part; rows without a label weigh as much as
            a labelled one does on average.
        """
        classes = self.classes[self.sample_of[self.rows["train"]]]
        counts = np.bincount(classes[classes >= 0], minlength=len(self.class_names)).astype(float)
        weight = np.divide(counts.sum(), counts, out=np.zeros_like(counts), where=counts > 0)
        weight /= max(int((counts > 0).sum()), 1)
        of_class: NDArray[np.float64] = np.append(weight, 1.0)  # -1 picks the last
        return np.asarray(of_class[classes], np.float64)

    def dataset(
        self, part: str, columns: Mapping[str, NDArray[Any]], **caches: Any
    ) -> CacheDataset:
        """Make the data set of one part; see `CacheDataset`, which gets a column ``label`` here.

        Args:
            part: train, val or test.
            columns: Further columns.
            **caches: Further caches of it.

        Raises:
            DatasetError: If the part is empty.
        """
        if not len(self.rows[part]):
            raise DatasetError(
                f"There is no usable {self.index.kind} in {part}; {self._counted()}."
            )
        label = {"label": self.classes[self.sample_of]}
        return CacheDataset(self.cache, self.rows[part], {**label, **columns}, **caches)

    def summarize(self, title: str) -> str:
        """Say in a line how large the data set is, and in one more of each part.

        Args:
            title: Name of the data set and its source.
        """
        lines = [self._describe_all(title)]
        for part in self.rows:
            counts = [count for count in self.class_counts(part) if count]
            range_ = "-".join(map(str, sorted({min(counts), max(counts)}))) if counts else ""
            classes = f"; {len(counts)} classes, {range_} each" if counts else ""
            lines.append(f"{part}: {self._count_part(part)}{classes}")
        return "\n".join(lines)

    def describe(self, title: str, remarks: Sequence[str] = ()) -> str:
        """Describe the data set, and write its folds beside the cache where it has some.

        Args:
            title: Name of the data set and its source.
            remarks: Further lines.
        """
        index = self.index
        outside = int((self.assignment.fold_of[: self._own] < 0).sum())
        lines = [
            self._describe_all(title),
            f"{outside} {index.kind}s in no part: "
            f"not of {self.expressions}, or not in the protocol",
            *(f"skipped {path}: {reason}" for path, reason in (*index.problems, *self.cache.bad)),
            *index.notes,
            *self.assignment.notes,
            *map(self._describe_part, self.rows),
            *(
                f"people of {part}: {', '.join(names)}"
                for part, names in self.subjects.items()
                if names
            ),
            *remarks,
        ]
        if self.assignment.num_folds > 1:
            file = self.cache.beside(f"protocol_{self.folds_hash[:12]}.csv")
            with unless_read_only():
                write_protocol(file, self.protocol())
            where = f", written to {file}" if file.exists() else ""
            lines.append(f"{self.assignment.num_folds} folds{where}")
        return "\n".join(lines)

    def _describe_all(self, title: str) -> str:
        index, unusable = self.index, int((~self.cache.valid).sum())
        people = f" of {len(index.people)} people" if index.people else ""
        pairs = len(self.cache.valid)
        of_pairs = f", {pairs} pairs of frames" if pairs > len(index) else ""
        return (
            f"{title}: {len(index)} {index.kind}s{people}{of_pairs}; "
            f"{len(index.problems)} problems, {unusable} unusable"
        )

    def _count_part(self, part: str) -> str:
        rows, people = self.rows[part], self.subjects[part]
        samples = np.unique(self.sample_of[rows])
        pairs = f"{len(rows)} pairs, " if len(rows) > len(samples) else ""
        of_whom = f" of {len(people)} people" if people else ""
        return f"{pairs}{len(samples)} {self.index.kind}s{of_whom}"

    def _describe_part(self, part: str) -> str:
        counts = zip(self.class_names, self.class_counts(part), strict=True)
        classes = ", ".join(f"{class_name} {count}" for class_name, count in counts)
        other = int((self.classes[np.unique(self.sample_of[self.rows[part]])] < 0).sum())
        without = f", {other} without a label" if other else ""
        return f"{part}: {self._count_part(part)}: {classes}{without}"

    def _limited(self, rows: NDArray[np.int64], limit: int | None, seed: int) -> NDArray[np.int64]:
        if limit is None or limit >= len(rows):
            return rows
        order = stratified_order(self.classes[self.sample_of[rows]], seed)
        return np.sort(rows[order[:limit]])

    def _counted(self) -> str:
        sizes = ", ".join(f"{name} {len(rows)}" for name, rows in self.rows.items())
        return f"of {len(self.index)} {self.index.kind}s found these are usable: {sizes}"
