"""What one fold of a cross-validation leaves behind: split.json and fold.json."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as pl

from callbacks.outputs import Samples, TestSamples
from callbacks.records.fold_record import (
    PREDICTIONS_FILE,
    RECORD_FILE,
    SPLIT_FILE,
    file_hash,
    seal,
    trained_with,
)
from callbacks.records.predictions import writes_predictions
from callbacks.records.source import source_state
from datamodules.errors import UserError
from datamodules.store.replacing import write_json

_LIMITS = {
    "limit_train_batches": 1.0,
    "limit_val_batches": 1.0,
    "limit_test_batches": 1.0,
    "overfit_batches": 0.0,
}


class FoldReport(TestSamples):
    """Writes ``split.json`` when the data of a fold are known and ``fold.json`` when it was tested.

    ``fold.json`` holds every scalar that the test logged as ``test/...`` (null where it is not
    finite, or the recall of a class of which the fold has no sample), what the validation of the
    tested weights had logged as ``val/...``, who was tested, what decided
    the result (config, data, folds, code) and checksums of itself and of ``predictions.csv``. It
    holds no time and no path, so that it is the same whenever and wherever the fold is run.

    Args:
        config_hash: Hash of the config that all folds share.
        config: Resolved config of the command, plain values.
        validation: What the validation of the tested weights logged.
    """

    keys = unit_keys = ("label",)

    def __init__(
        self,
        config_hash: str,
        config: Mapping[str, Any],
        validation: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__()
        self._validation = dict(validation or {})
        self._decided = {
            "experiment": config["experiment"],
            "model": config["model"]["class_path"].rsplit(".", 1)[-1],
            "data": config["data"]["class_path"].rsplit(".", 1)[-1],
            "config_hash": config_hash,
            "seed": config["seed_everything"],
        }
        self._departures = departures(config)
        self._labels: list[int] = []

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Write ``split.json`` before training or test."""
        if stage in ("fit", "test") and trainer.is_global_zero:
            split = _split(trainer.datamodule)  # type: ignore[attr-defined]
            write_json(Path(trainer.default_root_dir) / SPLIT_FILE, split)

    def on_test_samples(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, samples: Samples
    ) -> None:
        """Keep the classes of the tested samples."""
        self._labels = samples["label"].tolist()

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write ``fold.json``, since what a test logs is known only now."""
        if not trainer.is_global_zero:
            return
        folder = Path(trainer.default_root_dir)
        split = _split(trainer.datamodule)  # type: ignore[attr-defined]
        names = split["class_names"]
        absent = [name for number, name in enumerate(names) if number not in self._labels]
        loader: Any = trainer.test_dataloaders
        seen = []
        if split["shared_subjects"]:
            mode = split["fold_mode"]
            seen.append(f"subjects are shared by training and test (fold_mode {mode})")
        if len(self._labels) < len(loader.dataset):
            seen.append("not all test samples were tested")
        record = {
            **self._decided,
            "code": {"trained": trained_with(folder), "tested": source_state()},
            **split,
            "n_test": len(self._labels),
            "checkpoint": Path(trainer.ckpt_path).name if trainer.ckpt_path else None,
            "departures": [*self._departures, *seen],
            "validation": {
                key: value if math.isfinite(value) else None
                for key, value in self._validation.items()
            },
            "metrics": _metrics(trainer.callback_metrics, absent),
            "predictions": file_hash(folder / PREDICTIONS_FILE)
            if writes_predictions(trainer)
            else None,
        }
        write_json(folder / RECORD_FILE, seal(record))


def departures(config: Mapping[str, Any]) -> list[str]:
    """Name what a resolved config changes of the trusted protocol, a phrase each."""
    trainer, data = config["trainer"], config["data"].get("init_args", {})
    found = [
        f"shortened by trainer.{name}"
        for name, whole in _LIMITS.items()
        # The whole number 1 is one batch, the fraction 1.0 all of them.
        if (value := trainer.get(name)) is not None and (type(value), value) != (float, whole)
    ]
    if data.get("labels_csv") is not None or data.get("label_map") is not None:
        found.append("labels by a list of the user's")
    return found


def _split(data: Any) -> dict[str, Any]:
    missing = [name for name in ("fold", "num_folds", "folds_hash") if not hasattr(data, name)]
    if missing:
        raise UserError(
            f"{type(data).__name__} makes no folds (it has no {missing[0]}), so it cannot be "
            "cross-validated."
        )
    return {
        "fold": data.fold,
        "folds": data.num_folds,
        "fold_mode": data.fold_mode,
        "folds_hash": data.folds_hash,
        "manifest_hash": data.manifest_hash,
        "content_sketch": list(getattr(data, "content_sketch", ())),
        "source": data.source,
        "class_names": list(data.class_names),
        "subjects": list(data.test_subjects),
        "shared_subjects": sorted(set(data.test_subjects) & set(data.train_subjects)),
    }


def _metrics(logged: Mapping[str, Any], absent: Sequence[str]) -> dict[str, float | None]:
    metrics = {}
    for key, value in sorted(logged.items()):
        if key.startswith("test/"):
            # A classifier cannot find what is not there, and logs 0.
            unknown = any(key.endswith(f"recall_{name}") for name in absent)
            number = float(value)
            metrics[key] = number if math.isfinite(number) and not unknown else None
    return metrics
