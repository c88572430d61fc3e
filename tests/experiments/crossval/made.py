"""Makes folds without training. The standard library only: `fake_child.py` must start fast."""

from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path
from typing import Any

CLASSES = ["neutral", "happiness", "surprise"]
DIGEST = "abcdef0123456789"


def subjects_of(fold: int) -> list[str]:
    return [f"S{2 * fold:03d}", f"S{2 * fold + 1:03d}"]


def split_of(fold: int, folds: int) -> dict[str, Any]:
    return {
        "fold": fold,
        "folds": folds,
        "fold_mode": "stratified",
        "folds_hash": "f0" * 8,
        "manifest_hash": "0d" * 8,
        "source": "synthetic",
        "class_names": CLASSES,
        "subjects": subjects_of(fold),
        "shared_subjects": [],
    }


def seal(record: dict[str, Any]) -> dict[str, Any]:
    content = {key: value for key, value in record.items() if key != "checksum"}
    text = json.dumps(content, sort_keys=True, allow_nan=False)
    return {**content, "checksum": hashlib.sha256(text.encode()).hexdigest()}


def write_predictions(folder: Path, fold: int, wrong: int) -> str:
    """Six samples, of which the first `wrong` ones are answered by the next class.

    Under the condition `eyes` two more are wrong.
    """
    path = folder / "predictions.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(
            ["source", "sample_id", "sample", "label", "predicted", *CLASSES, "predicted_eyes"]
        )
        for i in range(6):
            name = f"{subjects_of(fold)[i // 3]}/{i % 3:03d}"
            right, other = CLASSES[i % 3], CLASSES[(i + 1) % 3]
            answers = [other if i < n else right for n in (wrong, wrong + 2)]
            row = ["synthetic", 6 * fold + i, name, right, answers[0], 0, 0, 0, answers[1]]
            writer.writerow(row)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_fold(
    folder: Path, fold: int, *, folds: int = 3, wrong: int = 1, loss: float = 0.5, **changes: Any
) -> dict[str, Any]:
    """Write split.json, predictions.csv and fold.json as a finished fold has them."""
    folder.mkdir(parents=True, exist_ok=True)
    code = {"commit": "c0ffee", "dirty": False}
    split = split_of(fold, folds)
    (folder / "split.json").write_text(json.dumps(split))
    record = {
        "experiment": "tiny",
        "model": "TinyClassifier",
        "data": "TinyFolds",
        "config_hash": DIGEST,
        "seed": 0,
        "code": {"trained": code, "tested": code},
        **split,
        "n_test": 6,
        "checkpoint": "best.ckpt",
        "departures": [],
        "validation": {},
        "metrics": {"test/accuracy": (6 - wrong) / 6, "test/loss": loss},
        "predictions": write_predictions(folder, fold, wrong),
        **changes,
    }
    (folder / "fold.json").write_text(json.dumps(seal(record)))
    return record


def write_description(folder: Path, **changes: Any) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    description = {
        "experiment": "tiny",
        "config_hash": DIGEST,
        "model": "TinyClassifier",
        "data": "TinyFolds",
        "seed": 0,
        "model_arguments": {"lr": 0.1},
        "headline": None,
        "arguments": ["--config", "tiny.yaml"],
        "data_arguments": {"batch_size": 16},
        "trainer_arguments": {"max_epochs": 1, "callbacks": []},
        "setting_hash": DIGEST,
        "created": "1.0",
        **changes,
    }
    (folder / "crossval.json").write_text(json.dumps(description))


def write_crossval(folder: Path, wrong: list[int], **changes: Any) -> Path:
    """Write a whole cross-validation, a fold for each number of wrong answers."""
    described = {key: changes.pop(key) for key in list(changes) if key in DESCRIBED}
    write_description(folder, **described)
    for fold, number in enumerate(wrong):
        write_fold(folder / f"fold_{fold:02d}", fold, folds=len(wrong), wrong=number, **changes)
    return folder


DESCRIBED = ("experiment", "model", "model_arguments", "data_arguments", "headline", "arguments")
