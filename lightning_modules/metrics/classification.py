"""The metrics of every classifier, computed once over all samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torchmetrics import MetricCollection
from torchmetrics.classification import (
    MulticlassAccuracy,
    MulticlassConfusionMatrix,
    MulticlassF1Score,
    MulticlassRecall,
)


class BalancedAccuracy(MulticlassConfusionMatrix):
    """Mean recall over the classes that occur among the targets.

    torchmetrics' macro recall also averages over classes that were only predicted, each as 0,
    which punishes a wrong answer twice on a fold that lacks a class.

    Args:
        num_classes: Number of classes K.
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__(num_classes)

    def compute(self) -> Tensor:
        """Return a scalar in [0, 1]; 0 where nothing was seen."""
        confusion = super().compute().float()
        seen = confusion.sum(dim=1)
        recall = confusion.diagonal() / seen.clamp(min=1)
        return recall.sum() / torch.count_nonzero(seen).clamp(min=1)


def classification_metrics(num_classes: int, prefix: str = "") -> MetricCollection:
    """Accuracy, balanced accuracy, macro F1, recall of each class and the confusion matrix.

    Args:
        num_classes: Number of classes K.
        prefix: Put before every name, such as ``test/``.

    Returns:
        A collection that takes logits or probabilities [B, K] and class indices [B], and computes
        ``accuracy``, ``balanced_accuracy`` and ``f1_macro`` (scalars), ``recall`` [K] and
        ``confusion_matrix`` [K, K] with the true class in the row.
    """
    return MetricCollection(
        {
            "accuracy": MulticlassAccuracy(num_classes, average="micro"),
            "balanced_accuracy": BalancedAccuracy(num_classes),
            "f1_macro": MulticlassF1Score(num_classes, average="macro"),
            "recall": MulticlassRecall(num_classes, average="none"),
            "confusion_matrix": MulticlassConfusionMatrix(num_classes),
        },
        prefix=prefix,
    )


def scalars(
    metrics: Mapping[str, Tensor], class_names: Sequence[str] | None = None
) -> dict[str, Tensor]:
    """Leave of computed metrics what a logger takes: scalars.

    Args:
        metrics: What :func:`classification_metrics` computed, without a prefix.
        class_names: Names of the classes; None numbers them.

    Returns:
        The scalars, and ``recall_<class>`` for each class; no confusion matrix, which the
        predictions of a run hold anyway.
    """
    recall = metrics["recall"]
    names = range(len(recall)) if class_names is None else class_names
    single = {name: value for name, value in metrics.items() if value.ndim == 0}
    return single | {f"recall_{name}": value for name, value in zip(names, recall, strict=True)}
