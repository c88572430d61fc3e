"""A study summed up: what its cells measured, what is missing, and how rows differ."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from callbacks.records.costs import TIMES, read_timing
from callbacks.statistics import estimate
from experiments.crossval.paired import over_folds, over_samples
from experiments.crossval.run import Run
from experiments.crossval.summary import collect
from experiments.published import (
    Figure,
    figure_of_cell,
    figures_without_cell,
    published_figure,
)
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
    for name, data in study.places():
        runs, missing = [], []
        for seed in study.seeds:
            cell = cells[name, data, seed]
            if isinstance(cell, str):
                missing.append(f"seed {seed}: {cell}")
                continue
            run, why = _run_of(cell)
            runs += [] if run is None else [run]
            missing += [f"seed {seed}, {phrase}" for phrase in why]
        rows.append(Row(name, data, study.measures(name, data), tuple(runs), tuple(missing)))
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
    left = {n: "not in this study" for n in range(records[0]["folds"]) if n not in found}
    return Run.of(cell.folder, records, left), why


def summary_of(study: Study, rows: Sequence[Row]) -> dict[str, Any]:
    """Sum up a study as plain values, the same for the same folds."""
    references: dict[str, Row] = {}
    for row in rows:
        references.setdefault(row.data, row)
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
                    title: None if figure is None else figure.plain()
                    for title, figure in _published(study, row)
                },
                "against_first": None
                if row is references[row.data]
                else against(row, references[row.data]),
                "runs": [_provenance(run, row.measures) for run in row.runs],
                "missing": list(row.missing),
            }
            for row in rows
        ],
        "others": figures_without_cell(study.name),
    }


def _published(study: Study, row: Row) -> Iterator[tuple[str, Figure | None]]:
    """Yield the figure of a paper that each column has, with what a run does otherwise.

    That which is bound to the cell, in a study of a paper; else one from which nothing differs.
    """
    for title, measure in row.measures.items():
        figure = None
        for run in row.runs[:1]:
            about = run.description
            arguments = {**about.model_arguments}
            if study.rows[row.name].pretrain is not None:
                arguments["pretrained"] = study.rows[row.name].pretrain
            cell = (study.name, row.name, row.data, title)
            figure = figure_of_cell(cell, run.summary, arguments)
            if figure is None:
                found = published_figure(run.summary, about.model, arguments, measure)
                figure = None if found is None or found.differences else found
        yield title, figure


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
    mean, p = over_folds(differences, first.runs[0].summary["folds"])
    right, others = _by_most_seeds(row.right(mine)), _by_most_seeds(first.right(theirs))
    return {"difference": asdict(mean), "p_t": p, "p_mcnemar": over_samples(right, others)}


def _by_most_seeds(right: Mapping[tuple[str, ...], bool]) -> dict[tuple[str, ...], bool]:
    """Tell of each sample whether more than half of the seeds answer it rightly.

    To a test the same sample again is no further sample.
    """
    answers = defaultdict(list)
    for (_, *sample), value in right.items():
        answers[tuple(sample)].append(value)
    return {sample: 2 * sum(values) > len(values) for sample, values in answers.items()}


def _tested(run: Run) -> tuple[Any, ...]:
    summary = run.summary
    samples = frozenset(
        name for r in run.records for name in (r.predictions.samples if r.predictions else ())
    )
    return (run.description.seed, summary["done"], summary["class_names"], samples)


def _provenance(run: Run, measures: Mapping[str, str]) -> dict[str, Any]:
    keys = ("source", "commit", "seed", "folds", "folds_hash", "done", "n_test", "n_subjects")
    partial = f"{len(run.summary['done'])} of {run.summary['folds']} folds"  # said by "done"
    return {
        "folder": str(run.path),
        **{key: run.summary[key] for key in keys},
        "departures": [phrase for phrase in run.summary["departures"] if phrase != partial],
        **({"timed_on": _timed_on(run)} if set(TIMES) & set(measures.values()) else {}),
    }


def _timed_on(run: Run) -> list[str]:
    """Name the devices on which answers were timed."""
    told = [read_timing(run.path / f"fold_{record['fold']:02d}") for record in run.records]
    return list(dict.fromkeys(f"{t['device']} with threads: {t['threads']}" for t in told if t))
