from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from callbacks.records.feature_export import FeatureExport


def trainer_in(folder: Any) -> Any:
    return SimpleNamespace(
        default_root_dir=str(folder),
        is_global_zero=True,
        datamodule=SimpleNamespace(class_names=("neutral", "happiness")),
    )


def outputs(ids: list[int], **more: torch.Tensor) -> dict[str, torch.Tensor]:
    sample_id = torch.tensor(ids)
    features = sample_id[:, None] + torch.tensor([0.0, 0.5])
    return {"features": features, "label": sample_id % 2, "sample_id": sample_id, **more}


def test_features_stand_in_the_order_of_the_samples_each_once(tmp_path):
    trainer, callback = trainer_in(tmp_path), FeatureExport()
    module = SimpleNamespace(
        part_features=lambda part: (
            SimpleNamespace(label=np.array([1, 0]), rows=np.array([7, 8])),
            torch.ones(2, 2) if part == "train" else None,
        )
    )
    callback.on_test_start(trainer, module)
    for batch in (outputs([5, 3]), outputs([4, 3])):
        callback.on_test_batch_end(trainer, module, batch, None, 0)
    callback.on_test_epoch_end(trainer, module)
    with np.load(tmp_path / "features.npz", allow_pickle=False) as file:
        assert file["test_sample_id"].tolist() == [3, 4, 5]
        assert file["test_features"].tolist() == [[3, 3.5], [4, 4.5], [5, 5.5]]
        assert file["test_label"].tolist() == [1, 0, 1]
        assert file["train_features"].tolist() == [[1, 1], [1, 1]]
        assert file["train_sample_id"].tolist() == [7, 8]
        assert file["train_label"].tolist() == [1, 0]
        assert file["class_names"].tolist() == ["neutral", "happiness"]


def test_action_units_come_with_them_and_no_training_part_is_needed(tmp_path):
    trainer, callback = trainer_in(tmp_path), FeatureExport()
    units = torch.tensor([[1, 0, 1]])
    callback.on_test_batch_end(
        trainer, object(), outputs([1], action_units=units, unit_margins=units), None, 0
    )
    callback.on_test_epoch_end(trainer, object())
    with np.load(tmp_path / "features.npz", allow_pickle=False) as file:
        assert file["test_action_units"].tolist() == [[1, 0, 1]]
        assert "train_features" not in file


def test_a_method_without_features_is_named(tmp_path):
    with pytest.raises(ValueError, match="FeatureExport needs features and label"):
        FeatureExport().on_test_batch_end(trainer_in(tmp_path), object(), {}, None, 0)
