"""The summary of a cross-validation as files and as a few lines on the console."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from callbacks.records.fold_record import MAIN, FoldRecord
from datamodules.store.replacing import replacing
from experiments.crossval.summary import Summary, headline_accuracy

_SHARES = ("accuracy", "f1", "recall")


def write_report(folder: Path, summary: Summary, records: Sequence[FoldRecord]) -> None:
    """Write summary.json, summary.md and folds.csv.

    Args:
        folder: Folder of the cross-validation.
        summary: What `summarize` returned.
        records: The folds it is about.
    """
    with replacing(folder / "summary.json") as aside:
        aside.write_text(json.dumps(summary, indent=1, allow_nan=False) + "\n", "utf-8")
    with replacing(folder / "summary.md") as aside:
        aside.write_text(as_markdown(summary), "utf-8")
    columns, rows = fold_table(records, summary["headline"])
    with replacing(folder / "folds.csv") as aside, aside.open("w", newline="") as file:
        csv.writer(file).writerows([columns, *rows])


def fold_table(
    records: Sequence[FoldRecord], headline: Sequence[str] | None
) -> tuple[list[str], list[list[Any]]]:
    """Lay out one line a fold.

    Args:
        records: The folds.
        headline: See `headline_conditions`.

    Returns:
        Names of the columns, and the rows.
    """
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


def as_text(value: float | None, key: str) -> str:
    """Write a number: shares in percent, others with four digits."""
    if value is None:
        return "-"
    return f"{100 * value:.1f} %" if any(word in key for word in _SHARES) else f"{value:.4g}"


def spread(estimate: Mapping[str, Any], key: str) -> str:
    """Write mean and sample standard deviation."""
    mean = as_text(estimate["mean"], key)
    if estimate["std"] is None:
        return mean
    return f"{mean.removesuffix(' %')} ± {as_text(estimate['std'], key)}"


def headline_line(summary: Summary) -> str:
    """Say the result in one line.

    Args:
        summary: What `summarize` returned.

    Returns:
        Mean and standard deviation over folds, the pooled score and what they stand on.
    """
    folds = f"{len(summary['done'])} of {summary['folds']} folds"
    if "accuracy" not in summary:
        return f"{summary['experiment']}, data {summary['source']}, {folds}: no predictions"
    pooled = as_text(summary["pooled"]["accuracy"], "accuracy")
    return (
        f"{summary['experiment']}, data {summary['source']}: accuracy "
        f"{spread(summary['accuracy'], 'accuracy')} over {folds}, pooled {pooled} of "
        f"{summary['n_test']} samples"
    )


def markdown_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Write a table that reads well as text too.

    Args:
        columns: Names of the columns.
        rows: Their cells.

    Returns:
        Lines of Markdown, the last one empty.
    """
    cells = [list(columns), *(list(row) for row in rows)]
    widths = [max(3, *map(len, column)) for column in zip(*cells, strict=True)]
    cells.insert(1, ["-" * width for width in widths])
    padded = [[c.ljust(w) for c, w in zip(row, widths, strict=True)] for row in cells]
    return [*(f"| {' | '.join(row)} |" for row in padded), ""]


def as_markdown(summary: Summary) -> str:
    """Write the summary for a person.

    Args:
        summary: What `summarize` returned.

    Returns:
        Markdown.
    """
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
        *(f"- missing: fold {number}, {why}" for number, why in summary["missing"].items()),
        *(f"- departs from the protocol: {phrase}" for phrase in summary["departures"]),
    ]
    if summary["missing"] or summary["departures"]:
        lines.append("")
    if "accuracy" in summary:
        lines += _accuracies(summary)
    lines += ["## Measures over folds", ""]
    lines += markdown_table(
        ["measure", "mean ± std", "95 % interval", "folds"],
        [
            [key.removeprefix("test/"), spread(e, key), _interval(e, key), str(e["n"])]
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
                [name, *map(str, row), as_text(pooled["recall"][name], "recall")]
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
        _interval(scores["accuracy"], "accuracy"),
        *(
            as_text(pooled[key], "accuracy")
            for key in ("accuracy", "balanced_accuracy", "f1_macro")
        ),
    ]


def _interval(estimate: Mapping[str, Any], key: str) -> str:
    if estimate["low"] is None:
        return "-"
    return f"{as_text(estimate['low'], key).removesuffix(' %')} to {as_text(estimate['high'], key)}"
