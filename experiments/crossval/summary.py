"""The folds of a cross-validation summed up: checked first, then averaged and pooled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
from numpy.typing import NDArray

from callbacks.records.fold_record import MAIN, DamagedRecordError, FoldRecord, read_record
from callbacks.statistics import confusion_matrix, estimate, scores
from experiments.command.errors import CommandError
from experiments.crossval.folder import CrossvalFolder, Description
from experiments.jobs.step import failure

Summary = dict[str, Any]
ONE_SPLIT = (
    "These data have one split of their own and no folds: for a mean, deviation and interval over "
    "seeds have a study repeat it, as lightning study STUDY.yaml --seeds 5 does."
)


def collect(folder: CrossvalFolder) -> tuple[list[FoldRecord], dict[int, str]]:
    """Read the records of the finished folds in their order, and why each other fold has none.

    Raises:
        CommandError: If a record is not of the fold, or not of the config, that its folder is for.
    """
    description = folder.description()
    records: list[FoldRecord] = []
    missing: dict[int, str] = {}
    started = folder.started()
    for number in range(max([folder.num_folds() or 0, *(n + 1 for n in started)])):
        run = folder.fold(number)
        try:
            record = read_record(run.path)
        except DamagedRecordError as error:
            missing[number] = f"its record {error}; the same command without --summarize mends it"
            continue
        if record is not None:
            _check_origin(record, number, description, folder)
            records.append(record)
            continue
        why = failure(run.path)
        if why is not None:
            missing[number] = f"failed, see {run.path.name}/log.txt: {why}"
        else:
            missing[number] = "unfinished" if number in started else "not started"
    return records, missing


def headline_conditions(answered: Sequence[str], headline: Sequence[str] | None) -> list[str]:
    """Choose the conditions whose accuracy is the result of an experiment.

    Args:
        answered: Names of conditions: `predicted`, `predicted_<condition>` ...
        headline: Patterns like `*_reconstructed` of the <condition>; one that begins with `!`
            takes away. None means the answers of `predicted`.
    """
    if headline is None:
        return [MAIN]
    chosen: list[str] = []
    for pattern in headline:
        found = [n for n in answered if fnmatchcase(n, f"{MAIN}_{pattern.removeprefix('!')}")]
        if pattern.startswith("!"):
            chosen = [name for name in chosen if name not in found]
        else:
            chosen += [name for name in found if name not in chosen]
    if not chosen:
        known = ", ".join(name.removeprefix(f"{MAIN}_") for name in answered if name != MAIN)
        raise CommandError(
            f"headline {' '.join(headline)} names no condition of the test; there is "
            f"{known or 'none but the method itself, for which headline is null'}."
        )
    return chosen


def headline_accuracy(record: FoldRecord, headline: Sequence[str] | None) -> float | None:
    """Return the accuracy of a fold from 0 to 1, the mean over the `headline_conditions`.

    None where there are no predictions.
    """
    if record.predictions is None:
        return None
    chosen = headline_conditions(list(record.predictions.answers), headline)
    matrices = [_matrix(record, name) for name in chosen]
    return scores(np.sum(matrices, axis=0)).accuracy


def summarize(
    description: Description,
    records: Sequence[FoldRecord],
    missing: Mapping[int, str] | None = None,
) -> Summary:
    """Sum up finished folds.

    Args:
        description: What is cross-validated.
        records: At least one fold, in order.
        missing: Why each other fold is not there.

    Returns:
        Plain values, the same for the same folds: mean, sample standard deviation and 95 %
        interval of every measure over folds, and scores pooled over all tested samples;
        `val_accuracy`, what the validation of the tested weights came to, where there is one.

    Raises:
        CommandError: If the folds do not belong together.
    """
    check_together(records)
    first, missing = records[0], dict(missing or {})
    departures = Counter(phrase for record in records for phrase in record["departures"])
    total = len(records)
    marks = [
        phrase if n == total else f"{phrase} (in {n} of {total} folds)"
        for phrase, n in sorted(departures.items())
    ]
    if missing:
        marks.append(f"{len(records)} of {first['folds']} folds")
    if any(code["dirty"] for record in records for code in _codes(record)):
        marks.append("the source had changes that were not committed")
    summary: Summary = {
        "experiment": description.experiment,
        "model": description.model,
        "data": description.data,
        "source": first["source"],
        "arguments": list(description.arguments),
        "data_arguments": description.data_arguments,
        "trainer_arguments": description.trainer_arguments,
        "config_hash": description.config_hash,
        "seed": description.seed,
        "commit": commit_of(first),
        "manifest_hash": first["manifest_hash"],
        "folds_hash": first["folds_hash"],
        "fold_mode": first["fold_mode"],
        "folds": first["folds"],
        "done": [record["fold"] for record in records],
        "missing": {str(number): why for number, why in sorted(missing.items())},
        "departures": marks,
        "class_names": first["class_names"],
        "n_test": sum(record["n_test"] for record in records),
        "n_subjects": len({name for record in records for name in record["subjects"]}),
        "headline": None if description.headline is None else list(description.headline),
    }
    if first.predictions is not None:
        answered = list(first.predictions.answers)
        chosen = headline_conditions(answered, description.headline)
        summary |= _scored(records, chosen)
        if len(answered) > 1:
            summary["conditions"] = {name: _scored(records, [name]) for name in answered}
    summary["metrics"] = {
        key: asdict(estimate(values))
        for key in first.metrics
        if (values := [v for r in records if (v := r.metrics.get(key)) is not None])
    }
    validated = [record.validation.get("val/accuracy") for record in records]
    if accuracies := [accuracy for accuracy in validated if accuracy is not None]:
        summary["val_accuracy"] = asdict(estimate(accuracies))
    return summary


def check_together(records: Sequence[FoldRecord]) -> None:
    """Make sure that folds are parts of one whole.

    Raises:
        CommandError: If they differ in config, seed, data, folds, classes or commit, or if a
            sample or a person is tested twice.
    """
    reads: dict[str, Callable[[FoldRecord], Any]] = {
        "configs": lambda record: record["config_hash"][:8],
        "seeds": lambda record: record["seed"],
        "data": lambda record: f"{record['source']} {record['manifest_hash'][:8]}",
        "assignments to folds": lambda record: f"{record['folds']} {record['folds_hash'][:8]}",
        "classes": lambda record: " ".join(record["class_names"]),
        "commits": commit_of,
    }
    for what, read in reads.items():
        folds: dict[Any, list[str]] = {}
        for record in records:
            folds.setdefault(read(record), []).append(str(record["fold"]))
        if len(folds) > 1:
            found = "; ".join(f"{value} (fold {', '.join(of)})" for value, of in folds.items())
            raise CommandError(
                f"Folds of differing {what} are not summed up: {found}. Move the folders of those "
                "to be run again away, and give the same command."
            )
    _refuse_twice("sample", records, lambda r: r.predictions.samples if r.predictions else ())
    if not any(record["shared_subjects"] for record in records):
        _refuse_twice("subject", records, lambda record: record["subjects"])


def commit_of(record: FoldRecord) -> str | None:
    """Name the commit of a fold; both where it was trained with one and tested with another.

    None where the source is in no repository.
    """
    commits = dict.fromkeys(code["commit"] for code in _codes(record))
    return " and ".join(commits) or None


def _refuse_twice(
    what: str, records: Sequence[FoldRecord], tested: Callable[[FoldRecord], Sequence[str]]
) -> None:
    where: dict[str, int] = {}
    for record in records:
        for name in tested(record):
            if name in where:
                raise CommandError(
                    f"The {what} {name} is tested twice, in folds {where[name]} and "
                    f"{record['fold']}: these folds are not summed up."
                )
            where[name] = record["fold"]


def _check_origin(
    record: FoldRecord, number: int, description: Description, folder: CrossvalFolder
) -> None:
    path = folder.fold(number).path
    if record["fold"] != number:
        raise CommandError(f"{path} holds the record of fold {record['fold']}: move it away.")
    if record["config_hash"] != description.config_hash:
        raise CommandError(
            f"{path} holds the record of another config ({record['config_hash'][:8]}, not "
            f"{description.config_hash[:8]}): move it away, and the same command runs this fold."
        )


def _codes(record: FoldRecord) -> list[dict[str, Any]]:
    return [code for code in record["code"].values() if code is not None]


def _scored(records: Sequence[FoldRecord], conditions: Sequence[str]) -> Summary:
    """Sum up answers, several conditions as if each sample came in each of them."""
    matrices = [
        np.sum([_matrix(record, name) for name in conditions], axis=0) for record in records
    ]
    pooled = np.sum(matrices, axis=0)
    total = scores(pooled)
    names = records[0]["class_names"]
    return {
        "accuracy": asdict(estimate([scores(matrix).accuracy for matrix in matrices])),
        "pooled": {
            **asdict(total),
            "recall": dict(zip(names, total.recall, strict=True)),
            "confusion_matrix": pooled.tolist(),
        },
    }


def _matrix(record: FoldRecord, condition: str) -> NDArray[np.int64]:
    assert record.predictions is not None
    predictions = record.predictions
    answers = predictions.answers[condition]
    return confusion_matrix(predictions.labels, answers, record["class_names"])
