"""What one fold of a cross-validation leaves behind: split.json and fold.json."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as pl

from callbacks.records.distributed import gather
from callbacks.records.predictions import Predictions
from callbacks.records.run_record import git_state
from datamodules.errors import UserError
from datamodules.store.replacing import replacing

SPLIT_FILE = "split.json"
"""Who is tested in this fold; there as soon as the data are set up."""
RECORD_FILE = "fold.json"
"""The record of a fold; there once its test is done."""
PREDICTIONS_FILE = "predictions.csv"

_SOURCE = Path(__file__).resolve().parents[2]


class FoldReport(pl.Callback):
    """Writes ``split.json`` when the data of a fold are known and ``fold.json`` when it was tested.

    ``fold.json`` holds every scalar that the test logged as ``test/...`` (null where it is not
    finite, or the recall of a class of which the fold has no sample), who was tested, what decided
    the result (config, data, folds, code) and checksums of itself and of ``predictions.csv``. It
    holds no time and no path, so that it is the same whenever and wherever the fold is run.

    Args:
        config_hash: Hash of the config that all folds share.
        experiment: Name of the experiment.
        model: Name of the method's class.
        data: Name of the data module's class.
        seed: Seed of the run.
        departures: What departs from the trusted protocol, one phrase each.
    """

    def __init__(
        self,
        config_hash: str,
        experiment: str,
        model: str,
        data: str,
        seed: int,
        departures: Sequence[str] = (),
    ) -> None:
        self.config_hash = config_hash
        self.experiment = experiment
        self.model = model
        self.data = data
        self.seed = seed
        self.departures = tuple(departures)
        self._labels: dict[int, int] = {}

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Write ``split.json`` before training or test."""
        if stage in ("fit", "test") and trainer.is_global_zero:
            split = _split(trainer.datamodule)  # type: ignore[attr-defined]
            _write(Path(trainer.default_root_dir) / SPLIT_FILE, split)

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Count from zero."""
        self._labels.clear()

    def on_test_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep which samples were tested, and their classes."""
        ids = outputs["sample_id"].tolist()
        self._labels.update(zip(ids, outputs["label"].tolist(), strict=True))

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write ``fold.json``."""
        labels = {number: label for part in gather(self._labels) for number, label in part.items()}
        if not trainer.is_global_zero:
            return
        folder = Path(trainer.default_root_dir)
        split = _split(trainer.datamodule)  # type: ignore[attr-defined]
        names = split["class_names"]
        absent = [name for number, name in enumerate(names) if number not in labels.values()]
        loader: Any = trainer.test_dataloaders
        departures = [*self.departures, *_seen_departures(split, len(labels), len(loader.dataset))]
        record = {
            "experiment": self.experiment,
            "model": self.model,
            "data": self.data,
            "config_hash": self.config_hash,
            "seed": self.seed,
            "code": {"trained": trained_with(folder), "tested": git_state(_SOURCE)},
            **split,
            "n_test": len(labels),
            "checkpoint": Path(trainer.ckpt_path).name if trainer.ckpt_path else None,
            "departures": departures,
            "metrics": _metrics(trainer.callback_metrics, absent),
            "predictions": _predictions(trainer, folder),
        }
        _write(folder / RECORD_FILE, seal(record))


def seal(record: Mapping[str, Any]) -> dict[str, Any]:
    """Add the checksum of a record to it.

    Args:
        record: Plain values.

    Returns:
        The same with ``checksum``.
    """
    content = {key: value for key, value in record.items() if key != "checksum"}
    text = json.dumps(content, sort_keys=True, allow_nan=False)
    return {**content, "checksum": hashlib.sha256(text.encode()).hexdigest()}


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a small file, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def trained_with(folder: Path) -> dict[str, Any] | None:
    """Tell which state of the source a run was trained with.

    Args:
        folder: Folder of the run.

    Returns:
        `commit` and `dirty`, as in its environment.json; None where that does not say.
    """
    try:
        environment = json.loads((folder / "environment.json").read_text("utf-8"))
    except FileNotFoundError:  # the checkpoint was trained elsewhere
        return None
    state: dict[str, Any] | None = environment["git"]
    return state


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


def _seen_departures(split: Mapping[str, Any], tested: int, samples: int) -> list[str]:
    """Name what only the data show."""
    found = []
    if split["shared_subjects"]:
        found.append(f"subjects are shared by training and test (fold_mode {split['fold_mode']})")
    if tested < samples:
        found.append("not all test samples were tested")
    return found


def _metrics(logged: Mapping[str, Any], absent: Sequence[str]) -> dict[str, float | None]:
    metrics = {}
    for key, value in sorted(logged.items()):
        if key.startswith("test/"):
            # A classifier cannot find what is not there, and logs 0.
            unknown = any(key.endswith(f"recall_{name}") for name in absent)
            number = float(value)
            metrics[key] = number if math.isfinite(number) and not unknown else None
    return metrics


def _predictions(trainer: pl.Trainer, folder: Path) -> str | None:
    # Without the callback a file would be of an earlier test.
    if any(isinstance(callback, Predictions) for callback in trainer.callbacks):  # type: ignore[attr-defined]
        return file_hash(folder / PREDICTIONS_FILE)
    return None


def _write(path: Path, values: Mapping[str, Any]) -> None:
    with replacing(path) as aside:
        aside.write_text(json.dumps(values, indent=1, allow_nan=False) + "\n", "utf-8")
