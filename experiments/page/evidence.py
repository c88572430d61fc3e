"""What a page shows of a row beside its numbers: classes, confidence, learning curves."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from callbacks.records.fold_record import MAIN, PREDICTIONS_FILE, FoldRecord
from callbacks.statistics import confusion_matrix, scores
from datamodules.store.replacing import read_json
from experiments.compare import HEADLINE
from experiments.crossval.summary import headline_conditions
from experiments.study.table import Row

_BINS = 10


@dataclass(frozen=True)
class Curve:
    """A value over steps, mean and standard deviation over folds.

    Args:
        name: What was logged.
        steps: Steps at which at least one fold has it, ascending.
        mean: Mean over the folds at each step.
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
        curve: The monitored value, None where none was logged.
        folds: Value of the first column by (seed, fold).
        machines: Platforms and devices that it was run on.
        command: Command line that runs it.
    """

    classes: tuple[str, ...]
    matrix: NDArray[np.int64] | None
    recall: tuple[float | None, ...]
    reliability: tuple[tuple[float, float, int], ...]
    curve: Curve | None
    folds: Mapping[tuple[int, int], float]
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
        for condition in _conditions(r, measure, run.description.headline)
    ]
    matrix = np.sum(matrices, axis=0) if matrices else None
    by_fold = {
        (run.description.seed, record["fold"]): value
        for run in row.runs
        for record, value in zip(run.records, run.values(measure) or [], strict=False)
    }
    own = all(
        r.predictions is not None
        and list(_conditions(r, measure, run.description.headline)) == [MAIN]
        for _, r, run in places
    )
    folders = [folder for folder, _, _ in places]
    return Evidence(
        classes=classes,
        matrix=matrix,
        recall=() if matrix is None else scores(matrix).recall,
        reliability=tuple(_reliability(folders, classes)) if own else (),
        curve=_curve(folders),
        folds=by_fold,
        machines=tuple(dict.fromkeys(_machines(folders))),
        command=f"lightning crossval {' '.join(first.description.arguments)}",
    )


def _conditions(record: FoldRecord, measure: str, headline: Sequence[str] | None) -> Iterator[str]:
    assert record.predictions is not None
    answers = record.predictions.answers
    if measure == HEADLINE:
        yield from headline_conditions(list(answers), headline)
    elif (name := measure.replace("accuracy", MAIN, 1)) in answers:
        yield name


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


def _curve(folders: Sequence[Path]) -> Curve | None:
    """Read the monitored value of all folds."""
    config = folders[0] / "config.yaml"
    found = yaml.safe_load(config.read_text("utf-8")) if config.is_file() else None
    name = ((found or {}).get("checkpoint") or {}).get("monitor")
    values: dict[float, list[float]] = defaultdict(list)
    for folder in folders if name else ():
        # After a resume some steps come twice, with the same values.
        for step, value in dict(_logged(folder / "metrics.csv", str(name))).items():
            values[step].append(value)
    if not values:
        return None
    steps = sorted(values)
    return Curve(
        str(name),
        tuple(steps),
        tuple(float(np.mean(values[step])) for step in steps),
        tuple(
            float(np.std(values[step], ddof=1)) if len(values[step]) > 1 else 0.0 for step in steps
        ),
    )


def _logged(path: Path, name: str) -> Iterator[tuple[float, float]]:
    if not path.is_file():
        return
    with path.open(newline="", encoding="utf-8") as file:
        for line in csv.DictReader(file):
            if line.get(name) and line.get("step"):
                yield float(line["step"]), float(line[name])


def _machines(folders: Sequence[Path]) -> Iterator[str]:
    for folder in folders:
        told: dict[str, Any] = read_json(folder / "environment.json", platform=str) or {}
        if told:
            threads = f", {told['threads']} threads" if "threads" in told else ""
            torch = told.get("versions", {}).get("torch", "?")
            yield f"{told['platform']}, {told.get('device', '?')}{threads}, torch {torch}"
