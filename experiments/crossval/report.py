"""The summary of a cross-validation as files and as a few lines on the console."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from callbacks.records.fold_record import MAIN, FoldRecord
from experiments.crossval.summary import ONE_SPLIT, Summary, headline_accuracy
from experiments.report.frontalization import frontalization_tables
from experiments.report.markdown import interval, markdown_table, number, spread, write_files


def write_report(folder: Path, summary: Summary, records: Sequence[FoldRecord]) -> None:
    """Write summary.json, summary.md and folds.csv into the folder of the cross-validation."""
    columns, rows = fold_table(records, summary["headline"])
    write_files(folder, "summary", summary, as_markdown(summary), ("folds.csv", [columns, *rows]))


def fold_table(
    records: Sequence[FoldRecord], headline: Sequence[str] | None
) -> tuple[list[str], list[list[Any]]]:
    """Lay out one line a fold: the names of the columns, and the rows."""
    keys = [
        key for key in records[0].metrics if any(r.metrics.get(key) is not None for r in records)
    ]
    rows = [
        [
            record["fold"],
            record["n_test"],
            len(record["subjects"]),
            headline_accuracy(record, headline),
            *(record.metrics.get(key) for key in keys),
        ]
        for record in records
    ]
    return ["fold", "n_test", "n_subjects", "accuracy", *keys], rows


def headline_line(summary: Summary) -> str:
    """Say mean and standard deviation over folds, and the pooled score, in one line."""
    folds = f"{len(summary['done'])} of {summary['folds']} folds"
    if "accuracy" not in summary:
        return f"{summary['experiment']}, data {summary['source']}, {folds}: no predictions"
    pooled = number(summary["pooled"]["accuracy"], "accuracy")
    return (
        f"{summary['experiment']}, data {summary['source']}: accuracy "
        f"{spread(summary['accuracy'], 'accuracy')} over {folds}, pooled {pooled} of "
        f"{summary['n_test']} samples"
    )


def as_markdown(summary: Summary) -> str:
    """Write the summary for a person."""
    lines = [
        f"# {summary['experiment']}: cross-validation, data {summary['source']}",
        "",
        f"`lightning crossval {' '.join(summary['arguments'])}`",
        "",
        f"{summary['model']} on {summary['data']}: {len(summary['done'])} of {summary['folds']} "
        f"folds ({summary['fold_mode']}), {summary['n_test']} test samples of "
        f"{summary['n_subjects']} subjects, seed {summary['seed']}, commit "
        f"{summary['commit'] or 'unknown'}, config {summary['config_hash'][:8]}.",
        "",
        *(f"- missing: fold {fold}, {why}" for fold, why in summary["missing"].items()),
        *(f"- departs from the protocol: {phrase}" for phrase in summary["departures"]),
    ]
    if summary["missing"] or summary["departures"]:
        lines.append("")
    if summary["folds"] == 1:
        lines += [ONE_SPLIT, ""]
    if "accuracy" in summary:
        lines += _accuracies(summary)
    lines += frontalization_tables(summary)
    lines += ["## Measures over folds", ""]
    lines += markdown_table(
        ["measure", "mean ± std", "95 % interval", "folds"],
        [
            [key.removeprefix("test/"), spread(e, key), interval(e, key), str(e["n"])]
            for key, e in summary["metrics"].items()
        ],
    )
    lines += [
        "Mean and sample standard deviation are over test folds. The interval is Student's t of "
        "the mean and takes folds for independent. Pooled scores are computed from all test "
        "predictions at once.",
        "",
    ]
    return "\n".join(lines)


def _accuracies(summary: Summary) -> list[str]:
    scored = summary.get("conditions", {})
    title = "accuracy" if summary["headline"] is None else " ".join(summary["headline"])
    rows = [[title, *_accuracy_row(summary)]]
    rows += [
        [name.removeprefix(f"{MAIN}_"), *_accuracy_row(scores)] for name, scores in scored.items()
    ]
    pooled = summary["pooled"]
    return [
        "## Accuracy",
        "",
        *markdown_table(
            ["", "mean ± std", "95 % interval", "pooled", "balanced", "macro F1"], rows
        ),
        "## Pooled confusion matrix",
        "",
        *markdown_table(
            ["true \\ answered", *summary["class_names"], "recall"],
            [
                [name, *map(str, row), number(pooled["recall"][name], "recall")]
                for name, row in zip(
                    summary["class_names"], pooled["confusion_matrix"], strict=True
                )
            ],
        ),
    ]


def _accuracy_row(scores: Mapping[str, Any]) -> list[str]:
    pooled = scores["pooled"]
    return [
        spread(scores["accuracy"], "accuracy"),
        interval(scores["accuracy"], "accuracy"),
        *(number(pooled[key], "accuracy") for key in ("accuracy", "balanced_accuracy", "f1_macro")),
    ]
