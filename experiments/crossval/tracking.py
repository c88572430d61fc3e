"""The W&B run of a whole cross-validation, beside those of its folds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import wandb

from callbacks.records.fold_record import FoldRecord
from experiments.crossval.folder import Description
from experiments.crossval.report import fold_table
from experiments.crossval.summary import Summary
from experiments.run.loggers import WandbMode, close_wandb, wandb_logger


class ParentRun:
    """Sends what is known after every fold, and the summary in the end.

    Within a sweep it is the sweep's run, and `cv/accuracy_mean` what the sweep optimises.

    Args:
        folder: Folder of the cross-validation.
        description: What is cross-validated.
        mode: offline or online.
        config: Resolved config that all folds share.
    """

    def __init__(
        self, folder: Path, description: Description, mode: WandbMode, config: Mapping[str, Any]
    ) -> None:
        data = description.data.removesuffix("DataModule")
        self._logger = wandb_logger(
            folder,
            mode,
            run_id=description.wandb_id("summary"),
            name=f"{description.model}-{data}-cv-s{description.seed}",
            group=description.group,
            job="cv-summary",
            tags=[description.model, data, "crossval"],
        )
        self._config = config

    def update(self, summary: Summary) -> None:
        """Send the numbers of the folds that are done so far.

        Args:
            summary: What `summarize` returned.
        """
        self._logger.log_hyperparams(self._config)
        self._logger.log_metrics(cv_metrics(summary))

    def finish(self, summary: Summary, records: Sequence[FoldRecord]) -> None:
        """Send the summary, the fold table and the confusion matrix, and end the run.

        Args:
            summary: What `summarize` returned.
            records: The folds it is about.
        """
        self._logger.log_hyperparams({**self._config, "crossval": _provenance(summary)})
        self._logger.attempt(lambda run: _send(run, summary, records))
        close_wandb()


def cv_metrics(summary: Summary) -> dict[str, float]:
    """Name the numbers of a summary.

    Args:
        summary: What `summarize` returned.

    Returns:
        `cv/accuracy_mean`, `cv/accuracy_std`, `cv/accuracy_pooled`, `cv/n_folds` and, for what
        else the test logged, `cv/<measure>_mean` and `cv/<measure>_std`.
    """
    estimates = {key.removeprefix("test/"): e for key, e in summary["metrics"].items()}
    if "val_accuracy" in summary:
        estimates["val_accuracy"] = summary["val_accuracy"]
    metrics: dict[str, float] = {"cv/n_folds": len(summary["done"])}
    if "accuracy" in summary:
        estimates["accuracy"] = summary["accuracy"]
        for name in ("accuracy", "balanced_accuracy", "f1_macro"):
            metrics[f"cv/{name}_pooled"] = summary["pooled"][name]
    for name, estimate in estimates.items():
        metrics[f"cv/{name}_mean"] = estimate["mean"]
        if estimate["std"] is not None:
            metrics[f"cv/{name}_std"] = estimate["std"]
    return metrics


def _send(run: Any, summary: Summary, records: Sequence[FoldRecord]) -> None:
    columns, rows = fold_table(records, summary["headline"])
    logged = {**cv_metrics(summary), "cv/folds": wandb.Table(columns=[*columns], data=rows)}
    if "pooled" in summary:
        logged["cv/confusion_matrix"] = _chart(summary)
    run.log(logged)
    # A sweep reads the history, a table of runs the summary.
    run.summary.update(cv_metrics(summary))


def _provenance(summary: Summary) -> dict[str, Any]:
    names = ("source", "commit", "config_hash", "manifest_hash", "folds_hash", "departures")
    return {name: summary[name] for name in names}


def _chart(summary: Summary) -> Any:
    matrix = summary["pooled"]["confusion_matrix"]
    pairs = [
        (label, answer)
        for label, row in enumerate(matrix)
        for answer, count in enumerate(row)
        for _ in range(count)
    ]
    labels, answers = zip(*pairs, strict=True)
    return wandb.plot.confusion_matrix(
        y_true=labels, preds=answers, class_names=summary["class_names"], title="pooled folds"
    )
