"""The confusion matrix of a test, as a picture and as numbers."""

from __future__ import annotations

import csv
from typing import Any

import lightning.pytorch as pl
import numpy as np
from numpy.typing import NDArray

from callbacks.figures.sample_figure import SampleFigure, Samples, new_figure, save_figure
from callbacks.figures.sample_pictures import figures_folder
from datamodules.store.replacing import replacing


class ConfusionMatrix(SampleFigure):
    """Writes ``confusion_matrix.png`` and ``.csv`` into ``figures/`` of the run folder.

    The row is the true class and the column the answer. The picture shows shares of the row, so
    that rare classes are seen, and the counts below them; the CSV holds counts.

    Action units are no classes of one kind: a test of them has no matrix.

    Reference:
        PCNN, Figure 11; DCGAN + SVM, Figure 6.
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
        """Keep the answers of a batch."""
        if "unit_margins" not in outputs:
            self.keys = ("scores" if "scores" in outputs else "logits", "label")
            super().on_test_batch_end(trainer, pl_module, outputs, batch, batch_idx, dataloader_idx)

    def draw(self, trainer: pl.Trainer, samples: Samples) -> None:
        """Count and draw."""
        data = trainer.datamodule  # type: ignore[attr-defined]
        names = data.class_names
        answers = samples[self.keys[0]].argmax(axis=1)
        counts = count_pairs(samples["label"], answers, len(names))
        with (
            replacing(figures_folder(trainer) / "confusion_matrix.csv") as aside,
            aside.open("w", newline="", encoding="utf-8") as file,
        ):
            writer = csv.writer(file)
            writer.writerow(["label", *names])
            writer.writerows([name, *row] for name, row in zip(names, counts.tolist(), strict=True))
        right = float((samples["label"] == answers).mean())
        title = f"Test, data: {data.source}, {len(answers)} samples, accuracy {right:.1%}"
        side = 1.6 + 0.75 * len(names)
        figure = new_figure(side + 0.6, side)
        axes = figure.add_subplot()
        total = counts.sum(axis=1, keepdims=True)
        shares = counts / np.maximum(total, 1)
        drawn = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for i, j in np.ndindex(*counts.shape):
            # A class without samples has no shares.
            said = f"{shares[i, j]:.0%}\n{counts[i, j]}" if total[i, 0] else "-"
            colour = "white" if shares[i, j] > 0.55 else "0.15"
            axes.text(j, i, said, ha="center", va="center", fontsize=7.5, color=colour)
        places = range(len(names))
        axes.set_xticks(places, names, rotation=35, ha="right", rotation_mode="anchor")
        axes.set_yticks(places, names)
        axes.set(xlabel="predicted", ylabel="true")
        axes.set_title(title, fontsize=9.5, loc="left", parse_math=False)
        figure.colorbar(drawn, ax=axes, shrink=0.8, label="share of the true class")
        save_figure(trainer, figure, "confusion_matrix")


def count_pairs(
    labels: NDArray[np.int64], answers: NDArray[np.int64], num_classes: int
) -> NDArray[np.int64]:
    """Count how often each class was answered for each.

    Args:
        labels: True classes [N].
        answers: Predicted classes [N].
        num_classes: K.

    Returns:
        [K, K], the true class in the row.
    """
    pairs = np.bincount(labels * num_classes + answers, minlength=num_classes**2)
    return pairs.reshape(num_classes, num_classes)
