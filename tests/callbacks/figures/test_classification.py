from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from sklearn.metrics import auc
from torchmetrics.functional.classification import binary_auroc, multiclass_calibration_error

from callbacks.figures.classification import (
    ConfusionMatrix,
    ReliabilityDiagram,
    ROCCurves,
    calibrate,
    expected_calibration_error,
    roc,
)
from datamodules.labels import ACTION_UNITS
from tests.callbacks.fakes import NAMES, FaceData, FaceModule, trainer


class UnitModule(FaceModule):
    """Finds each unit where it is, but the last, for which it has no machine."""

    def test_step(self, batch: dict[str, Any], batch_idx: int) -> dict[str, Any]:
        shown = (batch["sample_id"][:, None] % torch.arange(2, 2 + len(ACTION_UNITS)) == 0).float()
        margins = shown + torch.rand_like(shown)
        margins[:, -1] = torch.nan
        return {"unit_margins": margins, "action_units": shown, "sample_id": batch["sample_id"]}


def test_picture_and_numbers_of_a_test(tmp_path: Path) -> None:
    trainer(tmp_path, ConfusionMatrix()).test(FaceModule(), datamodule=FaceData(), verbose=False)
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


def test_action_units_have_no_matrix(tmp_path: Path) -> None:
    trainer(tmp_path, ConfusionMatrix()).test(UnitModule(), datamodule=FaceData(), verbose=False)
    assert not (tmp_path / "figures").exists()


def test_area_is_that_of_torchmetrics() -> None:
    scores, positive = torch.randn(300).round(decimals=1), torch.rand(300) < 0.2
    curve = roc(scores.numpy(), positive.numpy())
    assert curve is not None
    assert auc(*curve) == pytest.approx(float(binary_auroc(scores, positive.long())), abs=1e-6)


@pytest.mark.parametrize("positive", [np.zeros(4, bool), np.ones(4, bool)])
def test_one_sided_samples_have_no_curve(positive: np.ndarray[Any, Any]) -> None:
    assert roc(np.arange(4, dtype=np.float32), positive) is None


def test_no_machine_has_no_curve() -> None:
    assert roc(np.array([0, np.nan], np.float32), np.array([True, False])) is None


@pytest.mark.parametrize("module", [FaceModule(), UnitModule()])
def test_curves_of_a_test(module: FaceModule, tmp_path: Path) -> None:
    trainer(tmp_path, ROCCurves()).test(module, datamodule=FaceData(), verbose=False)
    picture = cv2.imread(str(tmp_path / "figures" / "roc.png"))
    assert min(picture.shape[:2]) > 400
    assert picture.std() > 10


@pytest.mark.parametrize(("bins", "scale"), [(15, 1.0), (15, 8.0), (10, 3.0), (1, 3.0)])
def test_error_is_that_of_torchmetrics(bins: int, scale: float) -> None:
    logits, labels = scale * torch.randn(500, 7), torch.randint(7, (500,))
    expected = multiclass_calibration_error(logits.double().softmax(dim=1), labels, 7, bins)
    probabilities = logits.double().softmax(dim=1).numpy()
    counts, confidence, accuracy = calibrate(probabilities, labels.numpy(), bins)
    error = expected_calibration_error(counts, confidence, accuracy)
    assert error == pytest.approx(float(expected), abs=1e-6)
    assert counts.sum() == 500


def test_sure_and_right_is_no_error() -> None:
    labels, probabilities = np.arange(4), np.eye(4)
    assert expected_calibration_error(*calibrate(probabilities, labels, 15)) == 0
    assert expected_calibration_error(*calibrate(probabilities, labels[::-1], 15)) == 1


def test_diagram_of_a_test(tmp_path: Path) -> None:
    trainer(tmp_path, ReliabilityDiagram()).test(FaceModule(), datamodule=FaceData(), verbose=False)
    picture = cv2.imread(str(tmp_path / "figures" / "reliability.png"))
    assert min(picture.shape[:2]) > 400
    assert picture.std() > 10


def test_no_bins_is_refused() -> None:
    with pytest.raises(ValueError, match="bins of 1 or more; got 0"):
        ReliabilityDiagram(0)
