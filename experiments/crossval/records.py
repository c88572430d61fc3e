"""The records of finished folds, read back and checked."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from callbacks.records.fold_report import PREDICTIONS_FILE, RECORD_FILE, file_hash, seal

MAIN = "predicted"
"""The condition under which a method answers, unless it has others: a column of predictions.csv."""


class DamagedRecordError(Exception):
    """A record that is not what was written, said as the end of the sentence "its record ..."."""


@dataclass(frozen=True)
class Predictions:
    """What a method answered in one fold.

    Args:
        samples: Name of each tested sample.
        labels: Their true classes, by name.
        answers: By condition the classes answered; the first is `MAIN`.
    """

    samples: tuple[str, ...]
    labels: tuple[str, ...]
    answers: dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class FoldRecord:
    """What a finished fold left behind, see `callbacks.FoldReport`.

    Args:
        values: The content of its fold.json.
        predictions: Its predictions.csv, None where the experiment writes none.
    """

    values: dict[str, Any]
    predictions: Predictions | None

    def __getitem__(self, key: str) -> Any:
        return self.values[key]

    @property
    def metrics(self) -> dict[str, float | None]:
        """What the test logged."""
        metrics: dict[str, float | None] = self.values["metrics"]
        return metrics


def read_record(folder: Path) -> FoldRecord | None:
    """Read the record of a fold.

    Args:
        folder: Its run folder.

    Returns:
        The record, None where the fold has none yet.

    Raises:
        DamagedRecordError: If the record or the predictions it stands on are not whole.
    """
    try:
        text = (folder / RECORD_FILE).read_text("utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except UnicodeDecodeError as error:
        raise DamagedRecordError("is damaged") from error
    try:
        values = json.loads(text)
    except json.JSONDecodeError as error:
        raise DamagedRecordError("is damaged") from error
    if not isinstance(values, dict) or values != seal(values):
        raise DamagedRecordError("is damaged or was edited: its checksum differs")
    if values["predictions"] is None:
        return FoldRecord(values, None)
    path = folder / PREDICTIONS_FILE
    if not path.is_file():
        raise DamagedRecordError(f"has lost its {PREDICTIONS_FILE}")
    if file_hash(path) != values["predictions"]:
        raise DamagedRecordError(f"does not belong to the {PREDICTIONS_FILE} beside it")
    return FoldRecord(values, _read_predictions(path))


def _read_predictions(path: Path) -> Predictions:
    with path.open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    columns = dict(zip(header, zip(*rows, strict=True), strict=True))
    conditions = [MAIN, *(name for name in header if name.startswith(f"{MAIN}_"))]
    return Predictions(
        samples=columns["sample"],
        labels=columns["label"],
        answers={name: columns[name] for name in conditions},
    )
