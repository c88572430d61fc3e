"""How the features of test samples lie, on a plane."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as pl
import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

from callbacks.figures.base import (
    checksum,
    new_axes,
    send_picture,
    titled,
)
from callbacks.outputs import Samples, TestSamples
from datamodules.errors import UserError

# t-SNE's own advice for features of many dimensions: fewer first, which also takes away noise.
_DIMENSIONS = 50


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
        for number, name in enumerate(names):
            mine = points[labels == number]
            # An unused class keeps its colour, so that figures can be compared.
            style: dict[str, Any] = {"s": 9, "alpha": 0.8, "linewidths": 0}
            axes.scatter(*mine.T, color=f"C{number}", label=name, **style)
        axes.set(xticks=[], yticks=[])
        axes.set_aspect("equal", "datalim")
        axes.legend(
            loc="center left", bbox_to_anchor=(1, 0.5), fontsize=8, frameon=False, markerscale=2.5
        )
        send_picture(trainer, figure, "features", "test/features")


def lay_out(features: NDArray[np.float32], perplexity: float, seed: int) -> NDArray[np.float32]:
    """Lay features out on a plane so that neighbours stay neighbours.

    Args:
        features: [N, D], N of 4 or more and D of 2 or more.
        perplexity: About how many neighbours count; at most a third of the others are taken.
        seed: Of the layout.

    Returns:
        [N, 2].
    """
    few = min(_DIMENSIONS, *features.shape)
    reduced = PCA(few, random_state=seed).fit_transform(features)
    tsne = TSNE(perplexity=min(perplexity, (len(features) - 1) / 3), init="pca", random_state=seed)
    points: NDArray[np.float32] = tsne.fit_transform(reduced)
    return points
