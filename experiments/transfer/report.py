"""The results of a transfer, in the layout of the paper's Tables II, IV and V."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from callbacks.records.fold_record import (
    DamagedRecordError,
    FoldRecord,
    read_record,
    trained_with,
)
from experiments.report.markdown import NONE, decimal, markdown_table, number, write_files
from experiments.transfer.paper import TABLES, counterpart
from experiments.transfer.plan import Plan, Sets, step_name

AVERAGE = "average"
Summary = dict[str, Any]
_AREA = re.compile(r"test/auc_(?:au_?)?(\w+)", re.IGNORECASE)
_TITLES = {
    "emotions": f"Area under the ROC curve of each class ({TABLES['emotions']})",
    "action_units": f"Area under the ROC curve of each action unit ({TABLES['action_units']})",
}


def summarize(plan: Plan, arguments: list[str], failures: Mapping[str, str]) -> Summary:
    """Collect the results of all cells as plain values, the same for the same results.

    Args:
        plan: The matrix.
        arguments: Command line of `lightning transfer` as far as it decides the results.
        failures: Why steps failed, by their names.
    """
    cells = [_cell(plan, cell, why, failures) for cell, why in plan.cells()]
    commits = {commit for cell in cells for commit in cell.pop("commits")}
    return {
        "experiment": plan.experiment,
        "task": plan.task,
        "arguments": arguments,
        "seed": plan.config["seed_everything"],
        "commits": sorted(commits),
        "data": {
            data.name: {"paper": data.paper, "labelled": data.labelled, "classes": data.classes}
            for data in plan.sets.values()
        },
        "cells": cells,
        "failures": dict(failures),
    }


def areas(metrics: Mapping[str, float | None]) -> dict[str, float | None]:
    """Pick `test/auc_<class>` and `test/auc_au<number>` out of what a test logged.

    Returns:
        The area of each class (`anger`) or action unit (`AU1`), and `AVERAGE` of those that are
        there; None where a test has no sample with, or none without.
    """
    found: dict[str, float | None] = {}
    for key, value in metrics.items():
        if match := _AREA.fullmatch(key):
            name = f"AU{int(match[1])}" if match[1].isdigit() else match[1].lower()
            found[name] = value
    known = [value for value in found.values() if value is not None]
    found[AVERAGE] = math.fsum(known) / len(known) if known else None
    return found


def write_report(folder: Path, summary: Summary) -> None:
    """Write transfer.json, transfer.md and transfer.csv into the folder of the transfer."""
    table = ("transfer.csv", as_rows(summary))
    write_files(folder, "transfer", summary, as_markdown(summary), table)


def as_markdown(summary: Summary) -> str:
    """Write the tables for a person."""
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
        # A sentence may go over several lines, with what a folder should hold.
        *(f"- {name} failed: {' '.join(why.split())}" for name, why in summary["failures"].items()),
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
    return "\n".join(lines)


def _cell(plan: Plan, cell: Sets, why: str | None, failures: Mapping[str, str]) -> Summary:
    record, reason = (None, why) if why is not None else _result(plan, cell, failures)
    result: Summary = dict(zip(("pretrain", "train", "test"), cell, strict=True))
    result |= {"missing": reason, "accuracy": None, "n_test": None, "n_subjects": None}
    result |= {"areas": {}, "remarks": [], "commits": []}
    if record is None:
        return result
    sources = {name: _source(plan, name) for name in cell}
    result |= {
        "sources": sources,
        "accuracy": record.metrics.get("test/accuracy"),
        "areas": areas(record.metrics),
        "n_test": record["n_test"],
        "n_subjects": len(record["subjects"]) or None,
        "remarks": [*record["departures"], *_leaks(plan, cell, record)],
        "commits": _commits(plan, cell, record),
    }
    if "synthetic" not in (*sources.values(), record["source"]):
        papers = (plan.sets[name].paper for name in cell)
        result["remarks"] += counterpart(plan.task, *papers)
    return result


def _result(
    plan: Plan, cell: Sets, failures: Mapping[str, str]
) -> tuple[FoldRecord | None, str | None]:
    """Read the record of a test, or say why there is none."""
    for name in map(step_name, [cell, *reversed(plan.needs(cell))]):
        if name in failures:
            return None, f"{name} failed"
    try:
        record = read_record(plan.run_folder(cell).path)
    except DamagedRecordError as error:
        return None, f"its record {error}"
    return record, None if record is not None else "not done"


def _source(plan: Plan, name: str) -> str | None:
    """Say what a data set was read from, by any step on it."""
    for sets in plan.wanted():
        split = plan.split(sets)
        if sets[-1] == name and split is not None:
            return str(split["source"])
    return None


def _leaks(plan: Plan, cell: Sets, record: FoldRecord) -> list[str]:
    """Name what pretraining may have seen of the tested people.

    A data set is split in the same way whatever it is for, and only its training part is learnt
    from. Two selections of one data set, which share files, are split each on its own.
    """
    pretrained = plan.split(cell[:1])
    if pretrained is None or not set(pretrained["content_sketch"]) & set(record["content_sketch"]):
        return []
    if pretrained["manifest_hash"] == record["manifest_hash"]:
        same = pretrained["folds_hash"] == record["folds_hash"]
        return [] if same else ["pretraining split the tested data in another way"]
    held_out = set(pretrained["subjects"])
    if record["subjects"] and set(record["subjects"]) <= held_out:
        return []
    return ["pretraining may have seen tested people, in another selection of the same data"]


def _commits(plan: Plan, cell: Sets, record: FoldRecord) -> list[str]:
    trained = [trained_with(plan.run_folder(sets).path) for sets in plan.needs(cell)]
    known = [state for state in (record["code"]["tested"], *trained) if state is not None]
    return [f"{state['commit']}{' with changes' if state['dirty'] else ''}" for state in known]


def _experiments(summary: Summary) -> list[str]:
    """One line a cell."""
    columns = ["", "pretrained model", "training", "testing", "samples", "people", "accuracy"]
    columns += ["mean AUC", "remarks"]
    rows = []
    for index, cell in enumerate(summary["cells"], 1):
        remarks = [*([cell["missing"]] if cell["missing"] else []), *cell["remarks"]]
        if "synthetic" in cell.get("sources", {}).values():
            remarks.append("synthetic faces")
        rows.append(
            [
                str(index),
                *(cell[role] for role in ("pretrain", "train", "test")),
                number(cell["n_test"], "samples"),
                number(cell["n_subjects"], "people"),
                number(cell["accuracy"], "accuracy"),
                decimal(cell["areas"].get(AVERAGE)),
                "; ".join(remarks),
            ]
        )
    return markdown_table(columns, rows)


def _areas(summary: Summary) -> list[str]:
    """One line a class or action unit, one column a cell that has a result."""
    cells = [(i, cell) for i, cell in enumerate(summary["cells"], 1) if cell["areas"]]
    if not cells:
        return []
    columns = ["", *(str(index) for index, _ in cells)]
    rows = [
        [measure, *(decimal(cell["areas"].get(measure)) for _, cell in cells)]
        for measure in _measures(summary)
    ]
    return [f"## {_TITLES[summary['task']]}", "", *markdown_table(columns, rows)]


def _measures(summary: Summary) -> list[str]:
    """List classes by name, as the paper does, or action units by number; the average last."""
    known = {measure for cell in summary["cells"] for measure in cell["areas"]}
    units = sorted(known - {AVERAGE}, key=lambda name: (len(name), name))
    plain = sorted(known - {AVERAGE})
    return [*(units if summary["task"] == "action_units" else plain), AVERAGE]


def as_rows(summary: Summary) -> list[Sequence[Any]]:
    """Return the lines of the CSV file, the names of its columns first."""
    lines: list[Sequence[Any]] = [("pretrain", "train", "test", "measure", "value", "missing")]
    for cell in summary["cells"]:
        place = [cell[role] for role in ("pretrain", "train", "test")]
        lines.append([*place, "accuracy", cell["accuracy"], cell["missing"]])
        for measure in _measures(summary) if cell["areas"] else ():
            lines.append([*place, f"auc_{measure}", cell["areas"].get(measure), None])
    return lines
