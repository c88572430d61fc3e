"""Whether a classifier is right as often as it says."""

from __future__ import annotations

from typing import NamedTuple

import lightning.pytorch as pl
import numpy as np
import torch
from numpy.typing import NDArray

from callbacks.figures.sample_figure import SampleFigure, Samples, new_figure, save_figure
from datamodules.errors import UserError


class Bins(NamedTuple):
    """Answers sorted by the probability that they were given with.

    Attributes:
        edges: [M + 1], from 0 to 1.
        counts: Answers in each bin [M].
        confidence: Their mean probability [M]; 0 where there are none.
        accuracy: The share of them that is right [M]; 0 where there are none.
    """

    edges: NDArray[np.float64]
    counts: NDArray[np.int64]
    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]


class ReliabilityDiagram(SampleFigure):
    """Draws accuracy over confidence into ``figures/reliability.png``, with the calibration error.

    Args:
        bins: Number of bins of equal width.

    Reference:
        Guo et al., On Calibration of Modern Neural Networks (ICML 2017), equations (2) and (3).
    """

    keys = ("logits", "label")

    def __init__(self, bins: int = 15) -> None:
        super().__init__()
        if bins < 1:
            raise UserError(f"ReliabilityDiagram needs bins of 1 or more; got {bins}.")
        self.bins = bins

    def draw(self, trainer: pl.Trainer, samples: Samples) -> None:
        """Sort and draw."""
        data = trainer.datamodule  # type: ignore[attr-defined]
        found = sort_into_bins(samples["logits"], samples["label"], self.bins)
        figure = new_figure(4.6, 5.2)
        axes, below = figure.subplots(2, sharex=True, height_ratios=(3, 1))
        width, left = 1 / self.bins, found.edges[:-1]
        used = found.counts > 0
        axes.bar(
            left[used],
            found.accuracy[used],
            width,
            align="edge",
            color="#4878a8",
            edgecolor="white",
            label="accuracy",
        )
        gap = found.confidence - found.accuracy
        axes.bar(
            left[used],
            gap[used],
            width,
            found.accuracy[used],
            align="edge",
            color="#d9534f",
            alpha=0.35,
            edgecolor="#d9534f",
            label="gap to confidence",
        )
        axes.plot([0, 1], [0, 1], color="0.4", linestyle="--", linewidth=1)
        axes.set(xlim=(0, 1), ylim=(0, 1), ylabel="accuracy")
        axes.legend(loc="upper left", fontsize=8, frameon=False)
        error = expected_calibration_error(found)
        title = (
            f"Test, data: {data.source}, {found.counts.sum()} samples\n"
            f"expected calibration error {error:.3f}"
        )
        axes.set_title(title, fontsize=9.5, loc="left", parse_math=False)
        below.bar(left, found.counts, width, align="edge", color="0.6", edgecolor="white")
        below.set(xlabel="confidence", ylabel="samples")
        save_figure(trainer, figure, "reliability")


def sort_into_bins(logits: NDArray[np.float32], labels: NDArray[np.int64], bins: int) -> Bins:
    """Sort answers by their probability.

    Args:
        logits: [N, K].
        labels: True classes [N].
        bins: Number of bins M of equal width.

    Returns:
        The bins.
    """
    probabilities = torch.from_numpy(logits).double().softmax(dim=1).numpy()
    answers = probabilities.argmax(axis=1)
    confidence = probabilities[np.arange(len(answers)), answers]
    edges = np.linspace(0, 1, bins + 1)
    place = np.clip(np.searchsorted(edges, confidence, side="right") - 1, 0, bins - 1)
    counts = np.bincount(place, minlength=bins)
    least = np.maximum(counts, 1)
    return Bins(
        edges,
        counts,
        np.bincount(place, confidence, minlength=bins) / least,
        np.bincount(place, answers == labels, minlength=bins) / least,
    )


def expected_calibration_error(bins: Bins) -> float:
    """Return the mean distance of accuracy and confidence, in [0, 1].

    Args:
        bins: Answers sorted by their probability.

    Reference:
        Guo et al. (ICML 2017), equation (3).
    """
    distance = np.abs(bins.accuracy - bins.confidence)
    return float((bins.counts * distance).sum() / bins.counts.sum())
