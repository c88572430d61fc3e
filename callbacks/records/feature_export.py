"""The features of the tested and of the training faces as one file, for other tools."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np

from callbacks.outputs import Samples, TestSamples
from datamodules.store.replacing import replacing


class FeatureExport(TestSamples):
    """Writes ``features.npz`` into the run folder when a test ends.

    It holds ``test_features`` [N, F], ``test_label`` [N], ``test_sample_id`` [N] (in its order,
    each sample once), ``test_action_units`` [N, A] where the method recognises those, the same as
    ``train_...`` of the training part where the module gives it, and ``class_names`` [K]. NumPy
    reads it without pickle.

    It needs of a module the outputs ``features``, ``label`` and ``sample_id`` of ``test_step``,
    and for the training part ``part_features("train")``: the faces' labels and rows, and their
    features.
    """

    keys = ("features", "label")
    unit_keys = (*keys, "action_units")

    def on_test_samples(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, samples: Samples
    ) -> None:
        """Write the file."""
        arrays: dict[str, Any] = {f"test_{name}": values for name, values in samples.items()}
        extract = getattr(pl_module, "part_features", None)
        if extract is not None:
            faces, features = extract("train")
            arrays |= {
                "train_features": features.numpy(),
                "train_label": faces.label,
                "train_sample_id": faces.rows,
            }
        names = trainer.datamodule.class_names  # type: ignore[attr-defined]
        path = Path(trainer.default_root_dir) / "features.npz"
        with replacing(path) as aside:
            np.savez(aside, **arrays, class_names=np.array(names))
