"""What classifiers are measured by, computed once over all samples of all processes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from sklearn.metrics import f1_score, roc_auc_score
from torch import Tensor, nn
from torch.nn import functional
from torchmetrics import MetricCollection
from torchmetrics.classification import (
    MulticlassAccuracy,
    MulticlassConfusionMatrix,
    MulticlassF1Score,
    MulticlassRecall,
)

from lightning_modules.metrics.means import SampleMeans, SampleRows, take


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


def classification_metrics(num_classes: int) -> MetricCollection:
    """Accuracy, balanced accuracy, macro F1 and the recall of each class.

    Args:
        num_classes: Number of classes K.

    Returns:
        A collection that takes logits or probabilities [B, K] and class indices [B], and computes
        ``accuracy``, ``balanced_accuracy`` and ``f1_macro`` (scalars), and ``recall`` [K].
    """
    return MetricCollection(
        {
            "accuracy": MulticlassAccuracy(num_classes, average="micro"),
            "balanced_accuracy": BalancedAccuracy(num_classes),
            "f1_macro": MulticlassF1Score(num_classes, average="macro"),
            "recall": MulticlassRecall(num_classes, average="none"),
        }
    )


def scalars(
    metrics: Mapping[str, Tensor], class_names: Sequence[str] | None = None
) -> dict[str, Tensor]:
    """Leave of computed metrics what a logger takes: scalars.

    Args:
        metrics: What :func:`classification_metrics` computed.
        class_names: Names of the classes; None numbers them.

    Returns:
        The scalars, and ``recall_<class>`` for each class.
    """
    recall = metrics["recall"]
    names = range(len(recall)) if class_names is None else class_names
    single = {name: value for name, value in metrics.items() if value.ndim == 0}
    return single | {f"recall_{name}": value for name, value in zip(names, recall, strict=True)}


class ClassifierQuality(nn.Module):
    """What a classifier is measured by, whatever its answers are.

    Args:
        num_classes: Number of classes K.
        subset_names: Names of the S test lists, such as occlusion and pose30.
        means: Names of further means over samples, which a subclass counts.
    """

    def __init__(
        self, num_classes: int, subset_names: Sequence[str] = (), means: Sequence[str] = ()
    ) -> None:
        super().__init__()
        self.subsets = [f"{name}_accuracy" for name in subset_names]
        self.metrics = classification_metrics(num_classes)
        self.means = SampleMeans((*means, *self.subsets))

    def update(self, scores: Tensor, label: Tensor, subsets: Tensor | None = None) -> None:
        """Count a batch.

        Args:
            scores: [B, K], the highest of a row is the answer.
            label: Class indices [B].
            subsets: bool [B, S], to which test lists each sample belongs.
        """
        self.metrics.update(scores, label)
        if subsets is not None:
            right = scores.argmax(dim=1) == label
            lists = zip(self.subsets, subsets.T, strict=True)
            self.means.update(**{name: right[listed] for name, listed in lists})

    def summarize(self, class_names: Sequence[str] | None = None) -> dict[str, Tensor]:
        """Compute the scalars over all processes, then start anew.

        Args:
            class_names: Names of the classes; None numbers them.

        Returns:
            ``accuracy``, ``balanced_accuracy``, ``f1_macro``, ``recall_<class>``, the further
            means, and ``<subset>_accuracy`` of each list of which a sample was seen.
        """
        means: dict[str, Tensor] = take(self.means)
        return scalars(take(self.metrics), class_names) | means


class NetworkQuality(ClassifierQuality):
    """The same of a network that answers in logits, with its cross-entropy and its confidence.

    ``confidence`` is the mean probability of the right class.

    Args:
        num_classes: Number of classes K.
        subset_names: Names of the S test lists.
    """

    def __init__(self, num_classes: int, subset_names: Sequence[str] = ()) -> None:
        super().__init__(num_classes, subset_names, ("cross_entropy", "confidence"))

    def update(self, scores: Tensor, label: Tensor, subsets: Tensor | None = None) -> None:
        """Count a batch; the scores are logits."""
        super().update(scores, label, subsets)
        cross_entropy = functional.cross_entropy(scores, label, reduction="none")
        self.means.update(cross_entropy=cross_entropy, confidence=(-cross_entropy).exp())


class ExpressionScores(ClassifierQuality):
    """What a classifier is measured by, with the area under each class's ROC curve.

    Args:
        num_classes: Number of classes K.
        subset_names: Names of the S test lists.
    """

    def __init__(self, num_classes: int, subset_names: Sequence[str] = ()) -> None:
        super().__init__(num_classes, subset_names)
        self.rows = SampleRows(num_classes + 1)

    def update(self, scores: Tensor, label: Tensor, subsets: Tensor | None = None) -> None:
        """Count a batch; the scores are one-vs-rest."""
        super().update(scores, label, subsets)
        self.rows.update(torch.cat((scores, label[:, None]), dim=1))

    def summarize(self, class_names: Sequence[str] | None = None) -> dict[str, Tensor]:
        """Compute the scalars over all processes, then start anew.

        Args:
            class_names: Names of the classes; None numbers them.

        Returns:
            What a :class:`ClassifierQuality` computes; ``auc_<class>`` of each class with samples
            of it and of others; ``auc``, their mean, NaN where there is none.
        """
        summary = super().summarize(class_names)
        *scores, label = take(self.rows).cpu().T
        areas = {}
        for index, (name, score) in enumerate(
            zip(class_names or range(len(scores)), scores, strict=True)
        ):
            area = area_under_roc(score, label == index)
            if area is not None:
                areas[f"auc_{name}"] = torch.tensor(area)
        return summary | areas | {"auc": torch.tensor(list(areas.values())).mean()}


class UnitScores(nn.Module):
    """Area under the ROC curve, F1, base rate and support of each action unit.

    Args:
        units: Numbers of the A action units.
    """

    def __init__(self, units: Sequence[int]) -> None:
        super().__init__()
        self.units = tuple(units)
        self.rows = SampleRows(2, len(self.units))

    def update(self, margins: Tensor, shown: Tensor) -> None:
        """Count a batch.

        Args:
            margins: Margins [B, A], NaN for a unit without a machine.
            shown: Which units are present [B, A], 0 or 1.
        """
        self.rows.update(torch.stack((margins, shown.float()), dim=1))

    def summarize(self) -> dict[str, Tensor]:
        """Compute the scalars over all processes, then start anew.

        Returns:
            ``base_rate_au<n>`` (share of samples with the unit) and ``support_au<n>`` (their
            number) of every unit; ``auc_au<n>`` and ``f1_au<n>`` where there are a machine and
            samples with and without the unit; ``auc`` and ``f1``, the means of those, NaN where
            there is none; ``units``, of how many.
        """
        summary: dict[str, Tensor] = {}
        areas, f1s = [], []
        for unit, rows in zip(self.units, take(self.rows).cpu().unbind(2), strict=True):
            margins, present = rows.T
            summary[f"base_rate_au{unit}"] = present.mean()
            summary[f"support_au{unit}"] = present.sum()
            area = area_under_roc(margins, present.bool())
            if area is not None:
                areas.append(area)
                f1s.append(float(f1_score(present, margins > 0, zero_division=0.0)))
                summary[f"auc_au{unit}"] = torch.tensor(area)
                summary[f"f1_au{unit}"] = torch.tensor(f1s[-1])
        summary["auc"], summary["f1"] = torch.tensor([areas, f1s]).mean(dim=1)
        summary["units"] = torch.tensor(float(len(areas)))
        return summary


def area_under_roc(scores: Tensor, positive: Tensor) -> float | None:
    """Return the area under the ROC curve, or None where it is not defined.

    Args:
        scores: Higher is more positive [N].
        positive: bool [N].
    """
    one_sided = bool(positive.all()) or not bool(positive.any())
    if one_sided or not bool(torch.isfinite(scores).all()):
        return None
    return float(roc_auc_score(positive, scores))
