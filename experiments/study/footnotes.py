"""The figures of papers beside the cells of a study, and footnotes on what differs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from callbacks.records.costs import COSTS
from experiments.published import explain


def footnotes_of(summary: Mapping[str, Any]) -> dict[str, str]:
    """Return the marks of the footnotes on published figures, by what they say."""
    said = [
        why_not(figure, row["measures"][title])
        for row in summary["rows"]
        for title, figure in row["published"].items()
        if figure is not None and figure["differences"]
    ]
    return {why: f"[{number}]" for number, why in enumerate(dict.fromkeys(said), 1)}


def figure_text(figure: Mapping[str, Any]) -> str:
    """Write a figure of a paper, in its unit."""
    std = "" if figure["std"] is None else f" ± {figure['std']:g}"
    number = figure["value"] if isinstance(figure["value"], str) else f"{figure['value']:g}"
    return f"{number}{std} {figure['unit']}".strip()


def is_shown(figure: Mapping[str, Any], measure: str) -> bool:
    """Tell whether a figure of a paper stands beside a cell.

    One of another setting does not, but for what an answer costs: nobody takes the milliseconds of
    two machines for the same experiment.
    """
    return not figure["differences"] or measure in COSTS


def why_not(figure: Mapping[str, Any], measure: str) -> str:
    """Say in a line what keeps a figure of a paper from being compared with a cell."""
    lead = "Not compared" if is_shown(figure, measure) else "No published figure"
    return f"{lead}: {explain(figure)}"
