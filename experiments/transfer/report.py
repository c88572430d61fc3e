"""The tables of a transfer, in the layout of the paper's Tables II, IV and V."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.published import AVERAGE, TABLES
from experiments.report.markdown import NONE, decimal, markdown_table, number, write_files
from experiments.transfer.summary import Summary

_TITLES = {
    "emotions": f"Area under the ROC curve of each class ({TABLES['emotions']})",
    "action_units": f"Area under the ROC curve of each action unit ({TABLES['action_units']})",
}


def write_report(folder: Path, summary: Summary) -> None:
    """Write transfer.json, transfer.md and transfer.csv.

    Args:
        folder: Folder of the transfer.
        summary: What `summarize` returned.
    """
    table = ("transfer.csv", _lines(summary))
    write_files(folder, "transfer", summary, as_markdown(summary), table)


def as_markdown(summary: Summary) -> str:
    """Write the tables for a person.

    Args:
        summary: What `summarize` returned.

    Returns:
        Markdown.
    """
    lines = [
        f"# {summary['experiment']}: transfer of {summary['task'].replace('_', ' ')}",
        "",
        f"`lightning transfer {' '.join(summary['arguments'])}`",
        "",
        f"Seed {summary['seed']}, commit {', '.join(summary['commits']) or 'unknown'}.",
        "",
        "## Experiments (Table V)",
        "",
        *_experiments(summary),
        *(f"- {name} failed: {why}" for name, why in summary["failures"].items()),
    ]
    lines += [""] if summary["failures"] else []
    lines += _areas(summary)
    lines += [
        "Areas are of one class or action unit against the rest; the average is of those that are "
        f"there, `{NONE}` stands where a test has no sample with it or none without. Every data "
        "set is split once: all steps learn from its training part, and its test part is only "
        "tested.",
        "",
    ]
    if any(cell["published"] for cell in summary["cells"]):
        lines += [
            "Published areas are those of the DCGAN paper, which does not say how its data were "
            "split; people may be in its training and its test.",
            "",
        ]
    return "\n".join(lines)


def _experiments(summary: Summary) -> list[str]:
    """One line a cell."""
    columns = ["", "pretrained model", "training", "testing", "samples", "people", "accuracy"]
    columns += ["mean AUC", "published", "remarks"]
    rows = []
    for index, cell in enumerate(summary["cells"], 1):
        found = cell["published"]
        remarks = [*([cell["missing"]] if cell["missing"] else []), *cell["remarks"]]
        if "synthetic" in cell.get("sources", {}).values():
            remarks.append("synthetic faces")
        shown = f"{decimal(found['areas'][AVERAGE])} ({found['experiment']})" if found else NONE
        rows.append(
            [
                str(index),
                *(cell[role] for role in ("pretrain", "train", "test")),
                number(cell["n_test"], "samples"),
                number(cell["n_subjects"], "people"),
                number(cell["accuracy"], "accuracy"),
                decimal(cell["areas"].get(AVERAGE)),
                shown,
                "; ".join(remarks),
            ]
        )
    return markdown_table(columns, rows)


def _areas(summary: Summary) -> list[str]:
    """One line a class or action unit, one column a cell that has a result."""
    cells = [(i, cell) for i, cell in enumerate(summary["cells"], 1) if cell["areas"]]
    if not cells:
        return []
    columns = [""]
    for index, cell in cells:
        columns.append(str(index))
        if cell["published"]:
            columns.append(f"{cell['published']['experiment']} (published)")
    rows = []
    for measure in _measures(summary):
        row = [measure]
        for _, cell in cells:
            row.append(decimal(cell["areas"].get(measure)))
            if cell["published"]:
                row.append(decimal(cell["published"]["areas"].get(measure)))
        rows.append(row)
    return [f"## {_TITLES[summary['task']]}", "", *markdown_table(columns, rows)]


def _measures(summary: Summary) -> list[str]:
    """List classes by name, as the paper does, or action units by number; the average comes last.

    Those of the paper are there too, so that nobody overlooks what is not compared.
    """
    known: set[str] = set()
    for cell in summary["cells"]:
        known |= {*cell["areas"], *(cell["published"] or {"areas": {}})["areas"]}
    units = sorted(known - {AVERAGE}, key=lambda name: (len(name), name))
    plain = sorted(known - {AVERAGE})
    return [*(units if summary["task"] == "action_units" else plain), AVERAGE]


def _lines(summary: Summary) -> list[Sequence[Any]]:
    lines: list[Sequence[Any]] = [
        ("pretrain", "train", "test", "measure", "value", "published", "experiment", "missing")
    ]
    for cell in summary["cells"]:
        place = [cell[role] for role in ("pretrain", "train", "test")]
        found = cell["published"] or {"areas": {}, "experiment": None}
        lines.append([*place, "accuracy", cell["accuracy"], None, None, cell["missing"]])
        for measure in _measures(summary) if cell["areas"] else ():
            published = found["areas"].get(measure)
            value = cell["areas"].get(measure)
            lines.append([*place, f"auc_{measure}", value, published, found["experiment"], None])
    return lines
