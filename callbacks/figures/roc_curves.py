"""How many samples of a class are found at which price in false alarms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import lightning.pytorch as pl
import numpy as np
from matplotlib import colormaps
from numpy.typing import NDArray
from sklearn.metrics import auc, roc_curve

from callbacks.figures.sample_figure import SampleFigure, Samples, new_figure, save_figure
from datamodules.labels import ACTION_UNITS


class ROCCurves(SampleFigure):
    """Draws the ROC curve of each class into ``figures/roc.png``, with the area under it.

    A class is an expression against all others, by its score among ``logits`` or ``scores``
    [B, K], or, where a method returns ``unit_margins`` [B, A] instead, an action unit against its
    absence. A class without samples, or without others, has no curve.

    Reference:
        DCGAN + SVM, Figures 5 and 7.
    """

    keys = ("logits", "label")

    def on_test_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep the scores of a batch, of expressions or of action units."""
        units = isinstance(outputs, Mapping) and "unit_margins" in outputs
        scores = "scores" if "scores" in (outputs or ()) else "logits"
        self.keys = ("unit_margins", "action_units") if units else (scores, "label")
        super().on_test_batch_end(trainer, pl_module, outputs, batch, batch_idx, dataloader_idx)

    def draw(self, trainer: pl.Trainer, samples: Samples) -> None:
        """Draw a curve for each class."""
        data = trainer.datamodule  # type: ignore[attr-defined]
        scores, truth = (samples[key] for key in self.keys)
        if "unit_margins" in self.keys:
            names: list[str] = [f"AU{unit}" for unit in ACTION_UNITS]
            positive = truth > 0
        else:
            names = list(data.class_names)
            positive = truth[:, None] == np.arange(len(names))
        figure = new_figure(6.2, 4.6)
        axes = figure.add_subplot()
        axes.set_prop_cycle(color=colormaps["turbo"](np.linspace(0.05, 0.95, len(names))))
        for name, score, shown in zip(names, scores.T, positive.T, strict=True):
            curve = roc(score, shown)
            if curve is not None:
                axes.plot(*curve, linewidth=1.4, label=f"{name} {auc(*curve):.3f}")
        axes.plot([0, 1], [0, 1], color="0.6", linestyle="--", linewidth=1)
        axes.set(xlim=(0, 1), ylim=(0, 1.005), xlabel="false alarms", ylabel="found")
        axes.set_aspect("equal")
        title = f"Test, data: {data.source}, {len(truth)} samples; area under each curve"
        axes.set_title(title, fontsize=9.5, loc="left", parse_math=False)
        axes.legend(loc="center left", bbox_to_anchor=(1.02, 0.5), fontsize=8, frameon=False)
        save_figure(trainer, figure, "roc")


def roc(
    scores: NDArray[np.float32], positive: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Return shares of false alarms and of samples found [M], or None where there is no curve.

    Args:
        scores: Higher is more positive [N]; a machine that does not exist gives NaN.
        positive: [N].
    """
    if positive.all() or not positive.any() or not np.isfinite(scores).all():
        return None
    false_alarms, found, _ = roc_curve(positive, scores)
    return false_alarms, found
