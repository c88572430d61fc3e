"""What the machines' answers are worth, computed once over all samples of a part."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import torch
from sklearn.metrics import f1_score, roc_auc_score
from torch import Tensor, nn
from torchmetrics import CatMetric, Metric

from lightning_modules.metrics.classification import classification_metrics, scalars


class _Gathering(nn.Module):
    """Holds columns of all samples over all processes."""

    def __init__(self, *columns: str) -> None:
        super().__init__()
        # "disable" keeps a NaN; the default would leave it out.
        self._held = nn.ModuleDict({name: CatMetric(nan_strategy="disable") for name in columns})

    def _add(self, **columns: Tensor) -> None:
        for name, values in columns.items():
            metric = self._held[name]
            assert isinstance(metric, CatMetric)  # for mypy
            metric.update(values.float())

    def _take(self) -> dict[str, Tensor]:
        taken = {}
        with warnings.catch_warnings():
            # A process with no sample still has to take part in the gathering.
            warnings.filterwarnings("ignore", message="The ``compute`` method of metric")
            for name, metric in self._held.items():
                assert isinstance(metric, Metric)  # for mypy
                taken[name] = torch.as_tensor(metric.compute()).cpu()
                metric.reset()
        return taken


class ExpressionScores(_Gathering):
    """Accuracy, balanced accuracy, macro F1, recalls, and the area under each class's ROC curve.

    Args:
        num_classes: Number of classes K.
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__("scores", "label", "subsets")
        self.num_classes = num_classes

    def update(self, scores: Tensor, label: Tensor, subsets: Tensor | None = None) -> None:
        """Count a batch.

        Args:
            scores: One-vs-rest scores [B, K].
            label: Class indices [B].
            subsets: bool [B, S], to which test lists each sample belongs.
        """
        masks = label.new_zeros(len(label), 0) if subsets is None else subsets
        # A column more: an empty one could not be told from no samples.
        ones = torch.ones_like(label)[:, None]
        self._add(scores=scores, label=label, subsets=torch.cat((ones, masks.long()), dim=1))

    def summarize(
        self, class_names: Sequence[str] | None = None, subset_names: Sequence[str] = ()
    ) -> dict[str, Tensor]:
        """Compute the scalars over all processes, then start anew.

        Args:
            class_names: Names of the classes; None numbers them.
            subset_names: Names of the S test lists.

        Returns:
            ``accuracy``, ``balanced_accuracy``, ``f1_macro``, ``recall_<class>``; ``auc_<class>``
            of each class with samples of it and of others, and ``auc``, their mean, NaN where
            there is none; ``<subset>_accuracy`` of each list that has samples.
        """
        names = [str(name) for name in class_names or range(self.num_classes)]
        taken = self._take()
        scores, label, subsets = taken["scores"], taken["label"].long(), taken["subsets"].bool()
        metrics = classification_metrics(self.num_classes)
        metrics.update(scores, label)
        summary = scalars(metrics.compute(), names)
        areas = {}
        for index, name in enumerate(names):
            area = area_under_roc(scores[:, index], label == index)
            if area is not None:
                areas[f"auc_{name}"] = area
        summary |= {name: torch.tensor(area) for name, area in areas.items()}
        summary["auc"] = torch.tensor(list(areas.values())).mean()
        right = scores.argmax(dim=1) == label
        for column, name in enumerate(subset_names, start=1):
            if subsets[:, column].any():
                summary[f"{name}_accuracy"] = right[subsets[:, column]].float().mean()
        return summary


class UnitScores(_Gathering):
    """Area under the ROC curve, F1, base rate and support of each action unit.

    Args:
        units: Numbers of the A action units.
    """

    def __init__(self, units: Sequence[int]) -> None:
        super().__init__("margins", "shown")
        self.units = tuple(units)

    def update(self, margins: Tensor, shown: Tensor) -> None:
        """Count a batch.

        Args:
            margins: Margins [B, A], NaN for a unit without a machine.
            shown: Which units are present [B, A], 0 or 1.
        """
        self._add(margins=margins, shown=shown)

    def summarize(self) -> dict[str, Tensor]:
        """Compute the scalars over all processes, then start anew.

        Returns:
            ``base_rate_au<n>`` (share of samples with the unit) and ``support_au<n>`` (their
            number) of every unit; ``auc_au<n>`` and ``f1_au<n>`` where there are a machine and
            samples with and without the unit; ``auc`` and ``f1``, the means of those, NaN where
            there is none; ``units``, of how many.
        """
        taken = self._take()
        summary: dict[str, Tensor] = {}
        areas, f1s = [], []
        for unit, margins, shown in zip(
            self.units, taken["margins"].T, taken["shown"].T.bool(), strict=True
        ):
            summary[f"base_rate_au{unit}"] = shown.float().mean()
            summary[f"support_au{unit}"] = shown.float().sum()
            area = area_under_roc(margins, shown)
            if area is not None:
                areas.append(area)
                f1s.append(float(f1_score(shown, margins > 0, zero_division=0.0)))
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
