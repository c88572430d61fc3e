from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from sklearn.metrics import auc
from torchmetrics.functional.classification import binary_auroc

from callbacks.figures.roc_curves import ROCCurves, roc
from datamodules.labels import ACTION_UNITS
from tests.callbacks.fakes import FaceData, FaceModule, trainer


class UnitModule(FaceModule):
    """Finds each unit where it is, but the last, for which it has no machine."""

    def test_step(self, batch: dict[str, Any], batch_idx: int) -> dict[str, Any]:
        shown = (batch["sample_id"][:, None] % torch.arange(2, 2 + len(ACTION_UNITS)) == 0).float()
        margins = shown + torch.rand_like(shown)
        margins[:, -1] = torch.nan
        return {"unit_margins": margins, "action_units": shown, "sample_id": batch["sample_id"]}


class ScoringModule(FaceModule):
    """Answers in scores, as a support vector machine does."""

    def test_step(self, batch: dict[str, Any], batch_idx: int) -> dict[str, Any]:
        outputs = super().test_step(batch, batch_idx)
        return {**outputs, "scores": outputs.pop("logits")}


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


@pytest.mark.parametrize("module", [FaceModule(), ScoringModule(), UnitModule()])
def test_curves_of_a_test(module: FaceModule, tmp_path: Path) -> None:
    trainer(tmp_path, ROCCurves()).test(module, datamodule=FaceData(), verbose=False)
    picture = cv2.imread(str(tmp_path / "figures" / "roc.png"))
    assert min(picture.shape[:2]) > 400
    assert picture.std() > 10
