from __future__ import annotations

import csv
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from callbacks.records.unit_predictions import UnitPredictions
from datamodules.labels import ACTION_UNITS

IDS = torch.tensor([4, 7])


@pytest.fixture
def trainer(tmp_path) -> Any:
    return SimpleNamespace(
        default_root_dir=str(tmp_path),
        global_rank=0,
        is_global_zero=True,
        predicting=False,
        limit_test_batches=1.0,
        test_dataloaders=SimpleNamespace(dataset=IDS),
        datamodule=SimpleNamespace(
            source="synthetic", class_names=("neutral", "happiness"), sample_name="face_{}".format
        ),
    )


def written(trainer: Any, **outputs: torch.Tensor) -> list[dict[str, str]]:
    callback = UnitPredictions()
    callback.on_test_start(trainer, None)
    known = {"sample_id": IDS, "label": torch.tensor([1, 0])}
    callback.on_test_batch_end(trainer, None, {**known, **outputs}, None, 0)
    callback.on_test_epoch_end(trainer, None)
    with (Path(trainer.default_root_dir) / "predictions.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_units_are_named_and_what_has_no_machine_is_empty(trainer):
    margins = torch.full((2, len(ACTION_UNITS)), -0.5)
    margins[0, [4, 7]] = 0.25  # AU6 and AU12
    margins[:, 0] = torch.nan
    shown = (margins > 0).float()
    shown[0, 12] = 1  # AU25
    one, other = written(trainer, unit_margins=margins, action_units=shown)
    assert (one["sample"], one["label"], one["predicted"]) == ("face_4", "happiness", "6+12")
    assert one["shown"] == "6+12+25"
    assert (one["au1"], one["au6"], one["au27"]) == ("", "0.250000", "-0.500000")
    assert (other["sample_id"], other["predicted"], other["shown"]) == ("7", "", "")


def test_expressions_are_written_as_ever(trainer):
    one, other = written(trainer, logits=torch.tensor([[0.0, 2.0], [1.0, 0.0]]))
    assert (one["predicted"], other["predicted"]) == ("happiness", "neutral")
    assert float(one["happiness"]) == pytest.approx(torch.tensor(2.0).sigmoid().item(), abs=1e-5)
