"""A cross-validation that was run: what each fold measured, and which samples were answered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from callbacks.records.costs import COSTS, read_costs
from callbacks.records.fold_record import MAIN, FoldRecord
from experiments.crossval.folder import CrossvalFolder, Description
from experiments.crossval.summary import (
    Summary,
    headline_accuracy,
    headline_conditions,
    summarize,
)

HEADLINE = "accuracy"
"""The measure that is the result of an experiment, see `headline_accuracy`."""


@dataclass(frozen=True)
class Run:
    """A whole cross-validation: its folds in order, and what `summarize` says of them."""

    path: Path
    description: Description
    records: list[FoldRecord]
    summary: Summary

    @classmethod
    def of(
        cls,
        folder: CrossvalFolder,
        records: list[FoldRecord],
        missing: Mapping[int, str] | None = None,
    ) -> Run:
        """Sum up the records of a folder, at least one, and say why each other fold is missing."""
        about = folder.description()
        return cls(folder.path, about, records, summarize(about, records, missing))

    def values(self, measure: str) -> list[float] | None:
        """Return a measure on each fold, None where a fold does not have it.

        Args:
            measure: Its name without `test/`, or one of `COSTS`; `a - b` is the difference of two.
        """
        first, minus, second = measure.partition(" - ")
        if minus:
            both = self.values(first), self.values(second)
            if both[0] is None or both[1] is None:
                return None
            return [a - b for a, b in zip(*both, strict=True)]  # type: ignore[arg-type]
        if measure == HEADLINE:
            values = [
                headline_accuracy(record, self.description.headline) for record in self.records
            ]
        elif measure in COSTS:
            folders = (self.path / f"fold_{record['fold']:02d}" for record in self.records)
            values = [read_costs(folder).get(measure) for folder in folders]
        else:
            values = [record.metrics.get(f"test/{measure}") for record in self.records]
        found = [value for value in values if value is not None]
        return found if len(found) == len(values) else None

    def conditions(self, record: FoldRecord, measure: str) -> list[str]:
        """Name the conditions of whose answers a measure is; none for one of something else."""
        if record.predictions is None:
            return []
        answered = list(record.predictions.answers)
        if measure == HEADLINE:
            return headline_conditions(answered, self.description.headline)
        name = measure.replace("accuracy", MAIN, 1)
        return [name] if name in answered else []

    def right(self, measure: str) -> dict[tuple[str, str], bool] | None:
        """Tell which samples were answered rightly, None for a measure of something else."""
        right: dict[tuple[str, str], bool] = {}
        for record in self.records:
            conditions, told = self.conditions(record, measure), record.predictions
            if told is None or not conditions:
                return None
            for condition in conditions:
                answers = zip(told.samples, told.labels, told.answers[condition], strict=True)
                right |= {(sample, condition): label == answer for sample, label, answer in answers}
        return right
