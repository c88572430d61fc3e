"""What a page shows of a row beside its numbers: classes, confidence, learning curves."""

from __future__ import annotations

import csv
import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from callbacks.records.costs import read_costs
from callbacks.records.fold_record import MAIN, PREDICTIONS_FILE
from callbacks.records.metrics_file import SECONDS, Series, read_metrics
from callbacks.statistics import confusion_matrix, estimate, scores
from datamodules.store.replacing import read_json
from experiments.crossval.run import Run
from experiments.study.summary import Row

_BINS = 10
# Several times as fast, where libyaml is there.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class Curve:
    """A value over validations, mean and standard deviation over folds.

    Folds are unequal in size, and so are their epochs in steps: the first validations of all folds
    are averaged, then the second ones, and so on.

    Args:
        name: What was logged.
        steps: Mean step of each validation, ascending.
        mean: Mean over the folds that have it.
        std: Their standard deviation, 0 where there is one.
    """

    name: str
    steps: tuple[float, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True)
class Evidence:
    """What stands behind a row.

    Args:
        classes: Names of the classes.
        matrix: int64 [K, K], answers of all folds and seeds pooled, the true class in the row;
            None where there are no predictions.
        recall: Recall of each class from 0 to 1, None for a class that does not occur.
        reliability: Mean confidence, share of right answers and number of samples by bins of
            confidence; empty where there are no probabilities of these answers.
        answers: True class and answer by sample, of the first seed; empty where a sample has
            several, under conditions of their own.
        curve: The monitored value, None where none was logged.
        folds: Value of the first column by (seed, fold).
        latency: Milliseconds an answer, the median of those of the folds; None where no test
            measured it.
        hours: Of training, of each run, in the order of the row's; None where it was not logged.
        machines: Platforms and devices that it was run on.
        command: Command line that runs it.
    """

    classes: tuple[str, ...]
    matrix: NDArray[np.int64] | None
    recall: tuple[float | None, ...]
    reliability: tuple[tuple[float, float, int], ...]
    answers: Mapping[str, tuple[str, str]]
    curve: Curve | None
    folds: Mapping[tuple[int, int], float]
    latency: float | None
    hours: tuple[float | None, ...]
    machines: tuple[str, ...]
    command: str


def evidence_of(row: Row, measure: str) -> Evidence:
    """Gather what stands behind a row.

    Args:
        row: The row, with at least one run.
        measure: What its first column shows.
    """
    first = row.runs[0]
    classes = tuple(first.summary["class_names"])
    places = [(run.path / f"fold_{r['fold']:02d}", r, run) for run in row.runs for r in run.records]
    matrices = [
        confusion_matrix(r.predictions.labels, r.predictions.answers[condition], classes)
        for _, r, run in places
        if r.predictions is not None
        for condition in run.conditions(r, measure)
    ]
    matrix = np.sum(matrices, axis=0) if matrices else None
    by_fold = {
        (run.description.seed, record["fold"]): value
        for run in row.runs
        for record, value in zip(run.records, run.values(measure) or [], strict=False)
    }
    own = all(run.conditions(r, measure) == [MAIN] for _, r, run in places)
    folders = [folder for folder, _, _ in places]
    logged = {folder: read_metrics(folder) for folder in folders}
    return Evidence(
        classes=classes,
        matrix=matrix,
        recall=() if matrix is None else scores(matrix).recall,
        reliability=tuple(_reliability(folders, classes)) if own else (),
        answers=_answers(first, measure),
        curve=_curve(folders, list(logged.values())),
        folds=by_fold,
        latency=_latency(folders),
        hours=tuple(
            _hours([logged[folder] for folder, _, other in places if other is run])
            for run in row.runs
        ),
        machines=tuple(dict.fromkeys(_machines(folders))),
        command=f"lightning crossval {' '.join(first.description.arguments)}",
    )


def _reliability(
    folders: Sequence[Path], classes: Sequence[str]
) -> Iterator[tuple[float, float, int]]:
    confidence, right = [], []
    for folder in folders:
        with (folder / PREDICTIONS_FILE).open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            if not set(classes) <= set(reader.fieldnames or ()):
                return
            for line in reader:
                if any(line[name] in ("", None) for name in classes):
                    return
                confidence.append(max(float(line[name]) for name in classes))
                right.append(line["label"] == line[MAIN])
    values, hits = np.array(confidence), np.array(right, float)
    places = np.minimum((values * _BINS).astype(int), _BINS - 1)
    for place in np.unique(places):
        chosen = places == place
        yield float(values[chosen].mean()), float(hits[chosen].mean()), int(chosen.sum())


def _answers(run: Run, measure: str) -> dict[str, tuple[str, str]]:
    found: dict[str, tuple[str, str]] = {}
    for record in run.records:
        conditions = run.conditions(record, measure)
        if record.predictions is None or len(conditions) != 1:
            return {}
        told = record.predictions
        pairs = zip(told.labels, told.answers[conditions[0]], strict=True)
        found |= dict(zip(told.samples, pairs, strict=True))
    return found


def _curve(folders: Sequence[Path], logged: Sequence[Mapping[str, Series]]) -> Curve | None:
    """Average the monitored value over all folds."""
    config = folders[0] / "config.yaml"
    found = yaml.load(config.read_text("utf-8"), _Loader) if config.is_file() else None
    name = str(((found or {}).get("checkpoint") or {}).get("monitor"))
    # `lightning validate` adds values to the same file, but no time.
    series = [
        [
            (step, v)
            for step, v in metrics[name].items()
            if step in metrics.get(SECONDS, metrics[name])
        ]
        for metrics in logged
        if name in metrics
    ]
    if not series:
        return None
    together = [
        [one[place] for one in series if place < len(one)] for place in range(max(map(len, series)))
    ]
    spreads = [estimate([value for _, value in points]) for points in together]
    return Curve(
        name,
        tuple(statistics.fmean(step for step, _ in points) for points in together),
        tuple(spread.mean for spread in spreads),
        tuple(spread.std or 0.0 for spread in spreads),
    )


def _latency(folders: Sequence[Path]) -> float | None:
    costs = map(read_costs, folders)
    found = [told["latency_ms"] for told in costs if "latency_ms" in told]
    return statistics.median(found) if found else None


def _hours(logged: Sequence[Mapping[str, Series]]) -> float | None:
    """Add up the hours of training of folds, None where one of them did not log any."""
    if not all(SECONDS in metrics for metrics in logged):
        return None
    return math.fsum(s for metrics in logged for s in metrics[SECONDS].values()) / 3600


def _machines(folders: Sequence[Path]) -> Iterator[str]:
    for folder in folders:
        told: dict[str, Any] = read_json(folder / "environment.json", platform=str) or {}
        if told:
            threads = f", threads: {told['threads']}" if "threads" in told else ""
            torch = told.get("versions", {}).get("torch", "?")
            yield f"{told['platform']}, {told.get('device', '?')}{threads}, torch {torch}"
