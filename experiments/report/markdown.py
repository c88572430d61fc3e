"""Numbers and tables as Markdown that reads well as text too, and the files of a report."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from datamodules.store.replacing import replacing, write_json

NONE = "-"
_SHARES = ("accuracy", "f1", "recall")  # measures that are written in percent


def write_files(
    folder: Path,
    name: str,
    summary: Mapping[str, Any],
    text: str,
    table: tuple[str, Iterable[Sequence[Any]]],
) -> None:
    """Write a summary as ``<name>.json``, ``<name>.md`` and a table as CSV, each whole or not.

    Args:
        folder: Where they go.
        name: Of the summary.
        summary: Plain values.
        text: The same as Markdown.
        table: Name of the CSV file, and its rows with the names of the columns first.
    """
    write_json(folder / f"{name}.json", summary)
    with replacing(folder / f"{name}.md") as aside:
        aside.write_text(text, "utf-8")
    with (
        replacing(folder / table[0]) as aside,
        aside.open("w", newline="", encoding="utf-8") as file,
    ):
        csv.writer(file).writerows(table[1])


def markdown_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Write a table as lines of Markdown, the last one empty."""
    cells = [list(columns), *(list(row) for row in rows)]
    widths = [max(3, *map(len, column)) for column in zip(*cells, strict=True)]
    cells.insert(1, ["-" * width for width in widths])
    padded = [[c.ljust(w) for c, w in zip(row, widths, strict=True)] for row in cells]
    return [*(f"| {' | '.join(row)} |" for row in padded), ""]


def is_share(measure: str) -> bool:
    """Tell whether a measure is a share of samples, which is written in percent."""
    return any(word in measure for word in _SHARES)


def number(value: float | None, measure: str) -> str:
    """Write a number: shares in percent, whole numbers as they are, others with four digits."""
    if value is None:
        return NONE
    if is_share(measure):
        return f"{100 * value:.1f} %"
    return str(value) if isinstance(value, int) else f"{value:.4g}"


def spread(estimate: Mapping[str, Any], measure: str) -> str:
    """Write mean and sample standard deviation of an `Estimate`."""
    mean = number(estimate["mean"], measure)
    if estimate["std"] is None:
        return mean
    return f"{mean.removesuffix(' %')} ± {number(estimate['std'], measure)}"


def interval(estimate: Mapping[str, Any], measure: str) -> str:
    """Write the interval of the mean of an `Estimate`."""
    if estimate["low"] is None:
        return NONE
    low, high = (number(estimate[end], measure) for end in ("low", "high"))
    return f"{low.removesuffix(' %')} to {high}"


def difference(estimate: Mapping[str, Any], measure: str) -> str:
    """Write the mean and the interval of differences; those of shares in points."""

    def signed(value: float) -> str:
        return f"{100 * value:+.1f}" if is_share(measure) else f"{value:+.4g}"

    low, high = estimate["low"], estimate["high"]
    return signed(estimate["mean"]) + ("" if low is None else f" [{signed(low)}, {signed(high)}]")


def p_value(p: float | None) -> str:
    """Write a p-value with three digits."""
    return NONE if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"


def decimal(value: float | None) -> str:
    """Write a number of at most 1 with three digits."""
    return NONE if value is None else f"{value:.3f}"
