"""The table of a study: what its cells measured, and what is missing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from callbacks.statistics import corrected_resampled_t, estimate, mcnemar
from experiments.compare import Run
from experiments.crossval.summary import collect, summarize
from experiments.published import published_figure
from experiments.report.markdown import NONE, difference, markdown_table, p_value, spread
from experiments.study.cells import Cell
from experiments.study.study_file import Study


@dataclass(frozen=True)
class Row:
    """A method on a data set.

    Args:
        name: Name of the row.
        data: Name of the data set.
        measures: What stands in each column, by its title.
        runs: What there is of each seed, with the tested ones of the wanted folds.
        missing: What is not there, a phrase each.
    """

    name: str
    data: str
    measures: Mapping[str, str]
    runs: tuple[Run, ...]
    missing: tuple[str, ...]

    def values(self, measure: str) -> list[float]:
        """Return a measure of each fold, or its mean of each seed where there are several."""
        found = [values for run in self.runs if (values := run.values(measure))]
        if len(found) > 1:
            return [estimate(values).mean for values in found]
        return found[0] if found else []

    def right(self, measure: str) -> dict[tuple[str, ...], bool]:
        """Tell of each seed, sample and condition whether it was answered rightly.

        Without the condition where there is one alone, whatever a method calls it.
        """
        answers = {
            (str(run.description.seed), sample, condition): value
            for run in self.runs
            for (sample, condition), value in (run.right(measure) or {}).items()
        }
        several = len({condition for *_, condition in answers}) > 1
        return {key if several else key[:2]: value for key, value in answers.items()}


def rows_of(study: Study, cells: Mapping[tuple[str, str, int], Cell | str]) -> list[Row]:
    """Read what the cells of a study measured.

    Args:
        study: The study.
        cells: Cell by row, data set and seed, or why there is none.
    """
    rows = []
    for name, method in study.rows.items():
        measures = {**study.columns, **method.measures}
        for data in study.data:
            runs, missing = [], []
            for seed in study.seeds:
                cell = cells[name, data, seed]
                if isinstance(cell, str):
                    missing.append(f"seed {seed}: {cell}")
                    continue
                run, why = _run_of(cell)
                runs += [] if run is None else [run]
                missing += [f"seed {seed}, {phrase}" for phrase in why]
            rows.append(Row(name, data, measures, tuple(runs), tuple(missing)))
    return rows


def _run_of(cell: Cell) -> tuple[Run | None, list[str]]:
    records, missing = collect(cell.folder)
    wanted = cell.wanted
    why = [f"fold {n}: {missing.get(n, 'not started')}" for n in wanted or () if n in missing]
    if wanted is None:
        return None, [f"fold {n}: {phrase}" for n, phrase in missing.items()] or ["not started"]
    found = {record["fold"] for record in records}
    why += [f"fold {n}: not started" for n in wanted if n not in found and n not in missing]
    records = [record for record in records if record["fold"] in wanted]
    if not records:
        return None, why
    about = cell.folder.description()
    left = {n: "not in this study" for n in range(records[0]["folds"]) if n not in found}
    return Run(cell.folder.path, about, records, summarize(about, records, left)), why


def summary_of(study: Study, rows: Sequence[Row]) -> dict[str, Any]:
    """Sum up a study as plain values, the same for the same folds."""
    reference = rows[0]
    return {
        "study": study.name,
        "title": study.title,
        "columns": list(study.columns),
        "seeds": list(study.seeds),
        "fold": None if study.fold is None else list(study.fold),
        "rows": [
            {
                "row": row.name,
                "data": row.data,
                "measures": dict(row.measures),
                "cells": {
                    title: asdict(estimate(values)) if (values := row.values(measure)) else None
                    for title, measure in row.measures.items()
                },
                "published": {
                    title: _published(row, measure) for title, measure in row.measures.items()
                },
                "against_first": None if row is reference else against(row, reference),
                "runs": [_provenance(run) for run in row.runs],
                "missing": list(row.missing),
            }
            for row in rows
        ],
    }


def _published(row: Row, measure: str) -> str | None:
    """Return the figure of a paper, where nothing differs from it."""
    for run in row.runs[:1]:
        about = run.description
        figure = published_figure(run.summary, about.model, about.model_arguments, measure)
        if figure is not None and not figure.differences:
            return str(figure)
    return None


def against(row: Row, first: Row) -> dict[str, Any] | None:
    """Test the first column of a row against that of the first one, on the same folds.

    None where their folds, their samples or their classes differ.
    """
    (mine, *_), (theirs, *_) = row.measures.values(), first.measures.values()
    pairs = list(zip(row.runs, first.runs, strict=False))
    if not pairs or any(_tested(one) != _tested(other) for one, other in pairs):
        return None
    differences = [
        a - b
        for one, other in pairs
        for a, b in zip(one.values(mine) or [], other.values(theirs) or [], strict=False)
    ]
    if not differences:
        return None
    folds = first.runs[0].summary["folds"]
    # One of so many folds tests, the next validates, and the others train.
    mean, p = corrected_resampled_t(differences, 1 / (folds - 2) if folds > 2 else 0.0)
    right, others = row.right(mine), first.right(theirs)
    exact = None
    if right and right.keys() == others.keys():
        exact = mcnemar([right[key] for key in others], list(others.values()))
    return {"difference": asdict(mean), "p_t": p, "p_mcnemar": exact}


def _tested(run: Run) -> tuple[Any, ...]:
    summary = run.summary
    samples = frozenset(
        name for r in run.records for name in (r.predictions.samples if r.predictions else ())
    )
    return (run.description.seed, summary["done"], summary["class_names"], samples)


def _provenance(run: Run) -> dict[str, Any]:
    keys = ("source", "commit", "seed", "folds", "folds_hash", "done", "n_test", "n_subjects")
    partial = f"{len(run.summary['done'])} of {run.summary['folds']} folds"  # said by "done"
    return {
        "folder": str(run.path),
        **{key: run.summary[key] for key in keys},
        "departures": [phrase for phrase in run.summary["departures"] if phrase != partial],
    }


def table_of(summary: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Return the names of the table's columns, and its cells row by row."""
    titles = summary["columns"]
    several = len({row["data"] for row in summary["rows"]}) > 1
    tested = any(row["against_first"] for row in summary["rows"])
    head = ["method", *(["data"] if several else []), *titles]
    head += ["difference", "p (t)", "p (McNemar)"] if tested else []
    body = []
    for row in summary["rows"]:
        line = [row["row"], *([row["data"]] if several else [])]
        line += [_cell(row, title) for title in titles]
        body.append(line + (_tests(row, titles[0]) if tested else []))
    return head, body


def remarks_of(summary: Mapping[str, Any]) -> list[str]:
    """Say what the numbers are, a sentence each."""
    seeds = summary["seeds"]
    over = f"over seeds {', '.join(map(str, seeds))}" if len(seeds) > 1 else "over folds"
    remarks = [f"Mean ± standard deviation {over}."]
    if any(row["against_first"] for row in summary["rows"]):
        remarks.append(
            f"Differences in {summary['columns'][0]} are to {summary['rows'][0]['row']}, with 95 % "
            "intervals. p (t): corrected resampled t-test (Nadeau and Bengio 2003). p (McNemar): "
            "exact, over pooled test samples. Neither is corrected for the number of comparisons."
        )
    commits = {run["commit"] for row in summary["rows"] for run in row["runs"]}
    if len(commits) > 1:
        remarks.append(f"Made with {len(commits)} commits, between which results may have changed.")
    return remarks


def as_markdown(summary: Mapping[str, Any]) -> str:
    """Write the table, with what it stands on below."""
    table = markdown_table(*table_of(summary))
    lines = [summary["title"], "", *table, *remarks_of(summary), *_notes(summary)]
    return "\n".join(lines) + "\n"


def _cell(row: Mapping[str, Any], title: str) -> str:
    found = row["cells"][title]
    text = NONE if found is None else spread(found, row["measures"][title])
    published = row["published"][title]
    return text if published is None else f"{text} (published {published})"


def _tests(row: Mapping[str, Any], title: str) -> list[str]:
    test = row["against_first"]
    if test is None:
        return ["", "", ""]
    shown = difference(test["difference"], row["measures"][title])
    return [shown, p_value(test["p_t"]), p_value(test["p_mcnemar"])]


def _notes(summary: Mapping[str, Any]) -> Iterator[str]:
    several = len({row["data"] for row in summary["rows"]}) > 1
    for row in summary["rows"]:
        name = f"{row['row']} on {row['data']}" if several else row["row"]
        for run in row["runs"]:
            marks = [f"departs from the protocol: {phrase}" for phrase in run["departures"]]
            about = [
                run["folder"],
                f"data {run['source']}",
                f"seed {run['seed']}",
                f"folds {', '.join(map(str, run['done']))} of {run['folds']}",
                f"{run['n_test']} test samples of {run['n_subjects']} people",
                f"commit {(run['commit'] or 'unknown')[:8]}",
            ]
            yield f"{name}: {'; '.join([', '.join(about), *marks])}"
        for phrase in row["missing"]:
            yield f"{name}: missing: {phrase}"


def as_rows(summary: Mapping[str, Any]) -> Iterator[list[Any]]:
    """Yield the lines of the CSV file, the names of its columns first."""
    measured = ("n", "mean", "std", "low", "high")
    yield ["row", "data", "column", "measure", *measured, "published"]
    for row in summary["rows"]:
        for title, measure in row["measures"].items():
            found = row["cells"][title] or {}
            numbers = [found.get(key) for key in measured]
            yield [row["row"], row["data"], title, measure, *numbers, row["published"][title]]
