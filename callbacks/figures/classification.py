"""The figures of a classifier's test: confusion matrix, ROC, reliability, map of features."""

from __future__ import annotations

import csv
from typing import Any

import lightning.pytorch as pl
import numpy as np
from numpy.typing import NDArray
from scipy.stats import binned_statistic
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.metrics import ConfusionMatrixDisplay, auc, confusion_matrix, roc_curve
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from callbacks.figures.base import checksum, figures_folder, send_picture, titled
from callbacks.figures.pictures import new_axes, new_figure, set_title
from callbacks.figures.style import HEAT, PALETTE, RIGHT, WRONG, class_colours
from callbacks.outputs import Samples, TestSamples
from datamodules.errors import UserError
from datamodules.labels import ACTION_UNITS
from datamodules.store.replacing import replacing

_DIMENSIONS = 50  # of the features that t-SNE lays out
_FEW = 60  # samples, of which several threads make the same map in more time than one


class ConfusionMatrix(TestSamples):
    """Writes ``confusion_matrix.png`` and ``.csv`` into ``figures/`` of the run folder.

    The row is the true class and the column the answer. The picture shows shares of the row, so
    that rare classes are seen, and the counts below them; the CSV holds counts.

    Action units are no classes of one kind: a test of them has no matrix.

    Reference:
        PCNN, Figure 11; DCGAN + SVM, Figure 6.
    """

    keys = ("scores", "label")

    def on_test_samples(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, samples: Samples
    ) -> None:
        """Count and draw."""
        names = trainer.datamodule.class_names  # type: ignore[attr-defined]
        labels, answers = samples["label"], samples["scores"].argmax(axis=1)
        counts = confusion_matrix(labels, answers, labels=range(len(names)))
        with (
            replacing(figures_folder(trainer) / "confusion_matrix.csv") as aside,
            aside.open("w", newline="", encoding="utf-8") as file,
        ):
            writer = csv.writer(file)
            writer.writerow(["label", *names])
            writer.writerows([name, *row] for name, row in zip(names, counts.tolist(), strict=True))
        side = 1.6 + 0.75 * len(names)
        accuracy = (labels == answers).mean()
        title = titled(trainer, f"test of {len(answers)} samples, accuracy {accuracy:.1%}")
        figure, axes = new_axes(side + 0.6, side, title)
        total = counts.sum(axis=1, keepdims=True)
        shares = counts / np.maximum(total, 1)
        shown = ConfusionMatrixDisplay(shares, display_labels=names).plot(
            ax=axes,
            colorbar=False,
            im_kw={"cmap": HEAT, "vmin": 0, "vmax": 1},
            text_kw={"fontsize": 7.5},
        )
        for (i, j), text in np.ndenumerate(shown.text_):
            # A class without samples has no shares.
            text.set_text(f"{shares[i, j]:.0%}\n{counts[i, j]}" if total[i, 0] else "-")
            text.set_color("white" if shares[i, j] < 0.55 else "0.15")
        axes.set_xticks(axes.get_xticks(), names, rotation=35, ha="right", rotation_mode="anchor")
        axes.set(xlabel="predicted", ylabel="true")
        figure.colorbar(shown.im_, ax=axes, shrink=0.8, label="share of the true class")
        send_picture(trainer, figure, "confusion_matrix", "test/confusion_matrix")


class ROCCurves(TestSamples):
    """Draws the ROC curve of each class into ``figures/roc.png``, with the area under it.

    A class is an expression against all others, by its score, or, where a method returns
    ``unit_margins`` [B, A] instead, an action unit against its absence. A class without samples,
    or without others, has no curve.

    Reference:
        DCGAN + SVM, Figures 5 and 7.
    """

    keys = ("scores", "label")
    unit_keys = ("unit_margins", "action_units")

    def on_test_samples(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, samples: Samples
    ) -> None:
        """Draw a curve for each class."""
        if "unit_margins" in samples:
            names: list[str] = [f"AU{unit}" for unit in ACTION_UNITS]
            scores, positive = samples["unit_margins"], samples["action_units"] > 0
        else:
            names = list(trainer.datamodule.class_names)  # type: ignore[attr-defined]
            scores = samples["scores"]
            positive = samples["label"][:, None] == np.arange(len(names))
        title = titled(trainer, f"test of {len(scores)} samples, area under each curve")
        figure, axes = new_axes(6.2, 4.6, title)
        columns = zip(names, class_colours(names), scores.T, positive.T, strict=True)
        for number, (name, colour, score, shown) in enumerate(columns):
            curve = roc(score, shown)
            if curve is not None:
                # Where there are more classes than colours, the lines differ.
                line = ("-", "--")[number // len(PALETTE)]
                said = f"{name} {auc(*curve):.3f}"
                axes.plot(*curve, line, color=colour, linewidth=1.4, label=said)
        axes.plot([0, 1], [0, 1], color="0.6", linestyle=":", linewidth=1)
        axes.set(xlim=(0, 1), ylim=(0, 1.005), xlabel="false alarms", ylabel="found")
        axes.set_aspect("equal")
        axes.legend(loc="center left", bbox_to_anchor=(1.02, 0.5), fontsize=8, frameon=False)
        send_picture(trainer, figure, "roc", "test/roc")


class ReliabilityDiagram(TestSamples):
    """Draws accuracy over confidence into ``figures/reliability.png``, with the calibration error.

    Args:
        bins: Number of bins of equal width.

    Reference:
        Guo et al., On Calibration of Modern Neural Networks (ICML 2017), equations (2) and (3).
    """

    keys = ("probabilities", "label")

    def __init__(self, bins: int = 15) -> None:
        super().__init__()
        if bins < 1:
            raise UserError(f"ReliabilityDiagram needs bins of 1 or more; got {bins}.")
        self.bins = bins

    def on_test_samples(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, samples: Samples
    ) -> None:
        """Sort answers by their probability and draw."""
        labels = samples["label"]
        counts, confidence, accuracy = calibrate(samples["probabilities"], labels, self.bins)
        figure = new_figure(4.6, 5.2)
        axes, below = figure.subplots(2, sharex=True, height_ratios=(3, 1))
        bars: dict[str, Any] = {"width": 1 / self.bins, "align": "edge"}
        left = np.arange(self.bins) / self.bins
        axes.bar(left, accuracy, color=RIGHT, edgecolor="white", label="accuracy", **bars)
        axes.bar(
            left,
            confidence - accuracy,
            bottom=accuracy,
            color=WRONG,
            alpha=0.35,
            edgecolor=WRONG,
            label="gap to confidence",
            **bars,
        )
        axes.plot([0, 1], [0, 1], color="0.4", linestyle="--", linewidth=1)
        axes.set(xlim=(0, 1), ylim=(0, 1), ylabel="accuracy")
        axes.legend(loc="upper left", fontsize=8, frameon=False)
        error = expected_calibration_error(counts, confidence, accuracy)
        what = f"test of {len(labels)} samples, expected calibration error {error:.3f}"
        set_title(figure, titled(trainer, what))
        below.bar(left, counts, color="0.6", edgecolor="white", **bars)
        below.set(xlabel="confidence", ylabel="samples")
        send_picture(trainer, figure, "reliability", "test/reliability")


class FeatureMap(TestSamples):
    """Draws test features by t-SNE into ``figures/features.png``, coloured by the true class.

    Args:
        max_samples: At most so many; chosen by a checksum of their ``sample_id``, the same ones in
            every run.
        perplexity: Of t-SNE: about how many neighbours a sample keeps; fewer where there are few
            samples.
        seed: Of t-SNE.

    Reference:
        van der Maaten and Hinton, Visualizing Data using t-SNE (JMLR 2008).
    """

    keys = ("features", "label")

    def __init__(self, max_samples: int = 2000, perplexity: float = 30.0, seed: int = 0) -> None:
        super().__init__()
        if max_samples < 4 or not perplexity > 0:
            raise UserError(
                "FeatureMap needs max_samples of 4 or more and a perplexity above 0; got "
                f"{max_samples} and {perplexity}."
            )
        self.max_samples = max_samples
        self.perplexity = perplexity
        self.seed = seed

    def trim(self, samples: Samples) -> Samples:
        """Keep the samples with the lowest checksums."""
        ids = samples["sample_id"]
        if len(ids) <= self.max_samples:
            return samples
        places = [checksum(number) for number in ids.tolist()]
        kept = np.sort(np.argsort(places, kind="stable")[: self.max_samples])
        return {key: value[kept] for key, value in samples.items()}

    def on_test_samples(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, samples: Samples
    ) -> None:
        """Lay out and draw."""
        names = trainer.datamodule.class_names  # type: ignore[attr-defined]
        labels = samples["label"]
        if len(labels) < 4:
            return  # nothing has neighbours
        points = lay_out(samples["features"], self.perplexity, self.seed)
        title = titled(trainer, f"t-SNE of {len(labels)} test samples by true class")
        figure, axes = new_axes(6.4, 5.2, title)
        # Few samples are drawn larger.
        style: dict[str, Any] = {"s": 9 if len(labels) > 200 else 25, "alpha": 0.8, "linewidths": 0}
        for number, (name, colour) in enumerate(zip(names, class_colours(names), strict=True)):
            axes.scatter(*points[labels == number].T, color=colour, label=name, **style)
        axes.set(xticks=[], yticks=[])
        axes.set_aspect("equal", "datalim")
        axes.legend(
            loc="center left", bbox_to_anchor=(1, 0.5), fontsize=8, frameon=False, markerscale=2.5
        )
        send_picture(trainer, figure, "features", "test/features")


def roc(
    scores: NDArray[np.float32], positive: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Return shares of false alarms and of samples found [M], or None where there is no curve.

    A higher score [N] is more positive; a machine that does not exist gives NaN.
    """
    if positive.all() or not positive.any() or not np.isfinite(scores).all():
        return None
    false_alarms, found, _ = roc_curve(positive, scores)
    return false_alarms, found


def calibrate(
    probabilities: NDArray[np.float64], labels: NDArray[np.int64], bins: int
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Sort answers by their probability [N, K] into M bins of equal width.

    Returns:
        Of each bin [M] the number of answers, their mean probability, and the share of them that
        is right; both NaN where there are none.
    """
    # A probability may be rounded to more than 1.
    highest = probabilities.max(axis=1).clip(max=1)
    right = probabilities.argmax(axis=1) == labels
    means, edges, _ = binned_statistic(highest, [highest, right], "mean", bins, (0, 1))
    return np.histogram(highest, edges)[0], means[0], means[1]


def expected_calibration_error(
    counts: NDArray[np.int64], confidence: NDArray[np.float64], accuracy: NDArray[np.float64]
) -> float:
    """Return the mean distance of accuracy and confidence, in [0, 1], of what `calibrate` found.

    Reference:
        Guo et al. (ICML 2017), equation (3).
    """
    used = counts > 0
    return float(np.average(np.abs(accuracy - confidence)[used], weights=counts[used]))


def lay_out(features: NDArray[np.float32], perplexity: float, seed: int) -> NDArray[np.float32]:
    """Lay features [N, D], N of 4 or more and D of 2 or more, out on a plane [N, 2].

    Of ``perplexity`` neighbours at most a third of the other samples count.
    """
    # t-SNE's own advice for features of many dimensions: fewer first, which also takes away noise.
    few = min(_DIMENSIONS, *features.shape)
    pca = PCA(few, random_state=seed)
    tsne = TSNE(perplexity=min(perplexity, (len(features) - 1) / 3), init="pca", random_state=seed)
    with threadpool_limits(1 if len(features) <= _FEW else None):
        points: NDArray[np.float32] = tsne.fit_transform(pca.fit_transform(features))
    return points
