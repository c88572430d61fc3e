"""The features of the tested and of the training faces as one file, for other tools."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from torch import Tensor

from callbacks.outputs import require
from callbacks.records.distributed import join_samples
from datamodules.store.replacing import replacing


class FeatureExport(pl.Callback):
    """Writes ``features.npz`` into the run folder when a test ends.

    It holds ``test_features`` [N, F], ``test_label`` [N], ``test_sample_id`` [N] (in its order,
    each sample once), ``test_action_units`` [N, A] where the method recognises those, the same as
    ``train_...`` of the training part where the module gives it, and ``class_names`` [K]. NumPy
    reads it without pickle.

    It needs of a module the outputs ``features``, ``label`` and ``sample_id`` of ``test_step``,
    and for the training part ``part_features("train")``: the faces' labels and rows, and their
    features.
    """

    def __init__(self) -> None:
        self._held: dict[str, list[Tensor]] = {}

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin anew."""
        self._held.clear()

    def on_test_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Hold the features of a batch."""
        found = require(self, pl_module, outputs, ("features", "label", "sample_id"))
        if "action_units" in outputs:
            found["action_units"] = outputs["action_units"]
        for name, value in found.items():
            self._held.setdefault(name, []).append(value.detach().cpu())

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the file."""
        whole = join_samples({name: torch.cat(held).numpy() for name, held in self._held.items()})
        self._held.clear()
        if not trainer.is_global_zero:
            return
        arrays: dict[str, Any] = {f"test_{name}": values for name, values in whole.items()}
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
