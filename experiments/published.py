"""What the papers report, where a cross-validation is of the same method on the same data."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

_TABLE = Path(__file__).resolve().parent / "published.csv"

# Tested samples and people by which the data of a paper are recognised, since a folder may have any
# name: (327, 118) are all labelled sequences of CK+, (309, 106) those without contempt, (374, 99)
# the list of the Lille group; SNaP-2DFe has 7 expressions in 6 poses of 15 people.
_COUNTS = {
    "CK+": {(327, 118), (309, 106), (374, 99)},
    "SNaP-2DFe": {(630, 15)},
}
_READERS = {"CK+": "CKPlus", "SNaP-2DFe": "SNaP2DFe"}


@dataclass(frozen=True)
class Figure:
    """A figure of a paper.

    Args:
        paper: vae_ssim or emotion_gan.
        table: Where it stands.
        method: The method's name there.
        condition: What it was measured under.
        value: In the paper's unit.
        std: Standard deviation, where the paper gives one.
        unit: Its unit.
    """

    paper: str
    table: str
    method: str
    condition: str
    value: str
    std: str
    unit: str

    def __str__(self) -> str:
        spread = f" ± {self.std}" if self.std else ""
        return f"{self.value}{spread} {self.unit} ({self.paper}, {self.table}, {self.method})"


def papers_dataset(summary: Mapping[str, Any]) -> str | None:
    """Tell whether a cross-validation was on data that a paper used.

    Args:
        summary: What `summarize` returned.

    Returns:
        Name of the data set; None for embedded faces, for other people than the paper's and where
        folds are missing.
    """
    counts = (summary["n_test"], summary["n_subjects"])
    for name, reader in _READERS.items():
        if reader in summary["data"] and summary["source"] != "synthetic":
            return name if counts in _COUNTS[name] else None
    return None


def published_figure(
    dataset: str, model: str, arguments: Mapping[str, Any], measure: str
) -> Figure | None:
    """Find the figure of a paper.

    Args:
        dataset: Name of the data set.
        model: Name of the method's class.
        arguments: Its resolved arguments.
        measure: What the test logged, without `test/`.

    Returns:
        The figure, None where no paper has it.
    """
    with _TABLE.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            key = (row["dataset"], row["model"], row["measure"])
            if key == (dataset, model, measure) and _fits(row["setting"], arguments):
                names = ("paper", "table", "method", "condition", "value", "std", "unit")
                return Figure(*(row[name] for name in names))
    return None


def _fits(setting: str, arguments: Mapping[str, Any]) -> bool:
    pairs = (part.partition("=") for part in setting.split())
    return all(arguments.get(name) == yaml.safe_load(value) for name, _, value in pairs)
