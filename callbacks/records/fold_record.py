"""The record of one tested fold, fold.json: sealed by a checksum, read back and checked."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datamodules.store.replacing import read_json

SPLIT_FILE = "split.json"
"""Who is tested in this fold; there as soon as the data are set up."""
RECORD_FILE = "fold.json"
"""The record of a fold; there once its test is done."""
PREDICTIONS_FILE = "predictions.csv"
MAIN = "predicted"
"""The condition under which a method answers, unless it has others: a column of predictions.csv."""


class DamagedRecordError(Exception):
    """A record that is not what was written, said as the end of the sentence "its record ..."."""


@dataclass(frozen=True)
class Predictions:
    """Names of the tested samples and their classes, and by condition the classes answered.

    The first condition is `MAIN`.
    """

    samples: tuple[str, ...]
    labels: tuple[str, ...]
    answers: dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class FoldRecord:
    """The fold.json of a tested fold, and its predictions.csv where the experiment writes one."""

    values: dict[str, Any]
    predictions: Predictions | None

    def __getitem__(self, key: str) -> Any:
        return self.values[key]

    @property
    def metrics(self) -> dict[str, float | None]:
        """What the test logged."""
        metrics: dict[str, float | None] = self.values["metrics"]
        return metrics

    @property
    def validation(self) -> dict[str, float | None]:
        """What the validation of the tested weights logged; empty where that is not known."""
        validation: dict[str, float | None] = self.values["validation"]
        return validation


def read_record(folder: Path) -> FoldRecord | None:
    """Read the record of a fold from its run folder, None where it has none yet.

    Raises:
        DamagedRecordError: If the record or the predictions it stands on are not whole.
    """
    values = _read_values(folder)
    if values is None:
        return None
    if values["predictions"] is None:
        return FoldRecord(values, None)
    return FoldRecord(values, _read_predictions(folder / PREDICTIONS_FILE, values["class_names"]))


def _read_values(folder: Path) -> dict[str, Any] | None:
    """Read fold.json, and check it and the predictions that it stands on."""
    values = read_json(folder / RECORD_FILE)
    if values is None:
        if (folder / RECORD_FILE).exists():
            raise DamagedRecordError("is damaged")
        return None
    if values != seal(values):
        raise DamagedRecordError("is damaged or was edited: its checksum differs")
    if values["predictions"] is not None:
        path = folder / PREDICTIONS_FILE
        if not path.is_file():
            raise DamagedRecordError(f"has lost its {PREDICTIONS_FILE}")
        if file_hash(path) != values["predictions"]:
            raise DamagedRecordError(f"does not belong to the {PREDICTIONS_FILE} beside it")
    return values


def is_tested(folder: Path) -> bool:
    """Tell whether a fold has a record that is whole."""
    try:
        return _read_values(folder) is not None
    except DamagedRecordError:
        return False


def seal(record: Mapping[str, Any]) -> dict[str, Any]:
    """Add the ``checksum`` of a record of plain values to it."""
    content = {key: value for key, value in record.items() if key != "checksum"}
    text = json.dumps(content, sort_keys=True, allow_nan=False)
    return {**content, "checksum": hashlib.sha256(text.encode()).hexdigest()}


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a small file, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def trained_with(folder: Path) -> dict[str, Any] | None:
    """Read the `commit` and `dirty` that a run was trained with from its environment.json.

    None where that does not say, such as for a checkpoint that was trained elsewhere.
    """
    values = read_json(folder / "environment.json", git=dict)
    return None if values is None else dict(values["git"])


def _read_predictions(path: Path, class_names: Sequence[str]) -> Predictions | None:
    """Read the answers; None where they are not of these classes, but action units as `1+2+5`."""
    with path.open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    columns = dict(zip(header, zip(*rows, strict=True), strict=True))
    if not set(columns[MAIN]) <= set(class_names):
        return None
    conditions = [MAIN, *(name for name in header if name.startswith(f"{MAIN}_"))]
    return Predictions(
        samples=columns["sample"],
        labels=columns["label"],
        answers={name: columns[name] for name in conditions},
    )
