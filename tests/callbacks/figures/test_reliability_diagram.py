from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torchmetrics.functional.classification import multiclass_calibration_error

from callbacks.figures.reliability_diagram import (
    ReliabilityDiagram,
    expected_calibration_error,
    sort_into_bins,
)
from tests.callbacks.fakes import FaceData, FaceModule, trainer


@pytest.mark.parametrize(("bins", "scale"), [(15, 1.0), (15, 8.0), (10, 3.0), (1, 3.0)])
def test_error_is_that_of_torchmetrics(bins: int, scale: float) -> None:
    logits, labels = scale * torch.randn(500, 7), torch.randint(7, (500,))
    expected = multiclass_calibration_error(logits.double().softmax(dim=1), labels, 7, bins)
    found = sort_into_bins(logits.numpy(), labels.numpy(), bins)
    assert expected_calibration_error(found) == pytest.approx(float(expected), abs=1e-6)
    assert found.counts.sum() == 500


def test_sure_and_right_is_no_error() -> None:
    labels = np.arange(4)
    logits = (100 * np.eye(4)).astype(np.float32)
    assert expected_calibration_error(sort_into_bins(logits, labels, 15)) == 0
    assert expected_calibration_error(sort_into_bins(logits, labels[::-1], 15)) == 1


def test_diagram_of_a_test(tmp_path: Path) -> None:
    trainer(tmp_path, ReliabilityDiagram()).test(FaceModule(), datamodule=FaceData(), verbose=False)
    picture = cv2.imread(str(tmp_path / "figures" / "reliability.png"))
    assert min(picture.shape[:2]) > 400
    assert picture.std() > 10


def test_no_bins_is_refused() -> None:
    with pytest.raises(ValueError, match="bins of 1 or more; got 0"):
        ReliabilityDiagram(0)
