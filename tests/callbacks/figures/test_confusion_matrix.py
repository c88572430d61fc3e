from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from sklearn.metrics import confusion_matrix

from callbacks.figures.confusion_matrix import ConfusionMatrix, count_pairs
from tests.callbacks.fakes import NAMES, FaceData, FaceModule, trainer


def test_counts_are_those_of_scikit_learn() -> None:
    labels, answers = torch.randint(5, (2, 200)).numpy()
    expected = confusion_matrix(labels, answers, labels=range(6))
    np.testing.assert_array_equal(count_pairs(labels, answers, 6), expected)


class ScoringModule(FaceModule):
    """Answers in scores, as a support vector machine does."""

    def test_step(self, batch: dict[str, Any], batch_idx: int) -> dict[str, Any]:
        outputs = super().test_step(batch, batch_idx)
        return {**outputs, "scores": outputs.pop("logits")}


@pytest.mark.parametrize("module", [FaceModule(), ScoringModule()])
def test_picture_and_numbers_of_a_test(module: FaceModule, tmp_path: Path) -> None:
    trainer(tmp_path, ConfusionMatrix()).test(module, datamodule=FaceData(), verbose=False)
    with (tmp_path / "figures" / "confusion_matrix.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["label", *NAMES]
    # Faces 9, 19 and 29, of classes 0, 1 and 2, are read as the class after theirs.
    assert rows[1:] == [
        ["neutral", "9", "1", "0"],
        ["happiness", "0", "9", "1"],
        ["surprise", "1", "0", "9"],
    ]
    picture = cv2.imread(str(tmp_path / "figures" / "confusion_matrix.png"))
    assert min(picture.shape[:2]) > 400
    assert picture.std() > 10


class UnitModule(FaceModule):
    def test_step(self, batch: dict[str, Any], batch_idx: int) -> dict[str, Any]:
        return {"unit_margins": self(batch["image"]), "sample_id": batch["sample_id"]}


def test_action_units_have_no_matrix(tmp_path: Path) -> None:
    trainer(tmp_path, ConfusionMatrix()).test(UnitModule(), datamodule=FaceData(), verbose=False)
    assert not (tmp_path / "figures").exists()
