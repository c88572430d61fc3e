"""The W&B run of a whole cross-validation, beside those of its folds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import wandb

from callbacks.records.fold_record import FoldRecord
from experiments.command.names import differences
from experiments.crossval.folder import Description
from experiments.crossval.report import fold_table
from experiments.crossval.summary import Summary
from experiments.run.parent_run import ParentRun, table
from experiments.run.wandb_run import WandbIdentity, WandbMode


class CrossvalRun(ParentRun):
    """Sends what is known after every fold, and the summary in the end.

    Within a sweep `cv/val_accuracy_mean` is what the sweep optimises.

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
        name = [description.model, data, *differences(description.arguments), "cv"]
        identity = WandbIdentity(
            id=description.wandb_id("summary"),
            group=description.group,
            job="cv-summary",
            name="-".join([*name, f"s{description.seed}"]),
            tags=(description.model, data, "crossval"),
        )
        super().__init__(folder, mode, identity, config, step="cv/n_folds")

    def update(self, summary: Summary) -> None:
        """Send the numbers of the folds that are done so far."""
        self.log(cv_metrics(summary))

    def sum_up(self, summary: Summary, records: Sequence[FoldRecord]) -> None:
        """Send the summary, the fold table and the confusion matrix, and end the run."""
        shown = {"cv/folds": table(*fold_table(records, summary["headline"]))}
        if "pooled" in summary:
            shown["cv/confusion_matrix"] = lambda: _chart(summary)
        self.finish(cv_metrics(summary), shown, {"crossval": _provenance(summary)})


def cv_metrics(summary: Summary) -> dict[str, float]:
    """Name the numbers of a summary.

    Returns:
        `cv/accuracy_mean`, `cv/accuracy_std`, `cv/accuracy_pooled`, `cv/val_accuracy_mean`,
        `cv/n_folds` and, for what else the test logged, `cv/<measure>_mean` and
        `cv/<measure>_std`.
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
