"""The figures of the DCGAN paper's Tables II and IV, by data sets and classes."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_TABLE = Path(__file__).resolve().parent.parent / "published_transfer.csv"
TABLES = {"emotions": "Table II", "action_units": "Table IV"}
_READERS = {
    "CKPlusFacesDataModule": "CK+",
    "CelebADataModule": "CelebA",
    "KDEFDataModule": "KDEF",
    "RAFDBDataModule": "RAF-DB",
    "SFEWDataModule": "SFEW",
}
_VIEWS = {(90,): "RaFD frontal", (0, 45, 90, 135, 180): "RaFD multi-view"}

AVERAGE = "average"


@dataclass(frozen=True)
class PublishedExperiment:
    """A column of Table II or IV.

    Args:
        table: Which of them.
        name: Exp 1 to Exp 8.
        areas: Area under the ROC curve by class (`anger`) or action unit (`AU1`), and `AVERAGE`.
    """

    table: str
    name: str
    areas: dict[str, float]


def paper_name(data: Mapping[str, Any]) -> str | None:
    """Name a data set as the paper's tables do.

    Args:
        data: Resolved `class_path` and `init_args`.

    Returns:
        The name; None where the paper did not use it.
    """
    reader = str(data["class_path"]).rsplit(".", 1)[-1]
    if reader == "RaFDDataModule":
        return _VIEWS.get(tuple(sorted(data["init_args"]["angles"])))
    return _READERS.get(reader)


def published(
    task: str, pretrain: str | None, train: str | None, test: str | None
) -> PublishedExperiment | None:
    """Find what the paper reports for a cell.

    Args:
        task: emotions or action_units.
        pretrain: Data set pretrained on, see `paper_name`.
        train: Data set trained on.
        test: Data set tested on.

    Returns:
        The column, None where the paper has none.
    """
    with _TABLE.open(newline="", encoding="utf-8") as file:
        rows = [
            row
            for row in csv.DictReader(file)
            if (row["table"], row["pretrain"], row["train"], row["test"])
            == (TABLES.get(task), pretrain, train, test)
        ]
    if not rows:
        return None
    areas = {row["measure"]: float(row["auc"]) for row in rows}
    return PublishedExperiment(rows[0]["table"], rows[0]["experiment"], areas)
