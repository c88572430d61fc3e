from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from callbacks.training.nan_guard import NaNGuard

MODULE: Any = None
NAN, INF = torch.tensor(float("nan")), torch.tensor(float("inf"))


def trainer(folder: Path, **metrics: torch.Tensor) -> Any:
    return cast(
        Any,
        SimpleNamespace(
            callback_metrics=metrics, current_epoch=2, global_step=9, default_root_dir=folder
        ),
    )


def after_batch(guard: NaNGuard, folder: Path, number: int, **outputs: torch.Tensor) -> None:
    guard.on_train_batch_end(trainer(folder), MODULE, outputs, None, number)


@pytest.mark.parametrize(("value", "shown"), [(NAN, "nan"), (INF, "inf"), (-INF, "-inf")])
def test_a_logged_loss_that_is_not_finite_is_named_with_its_step(
    tmp_path: Path, value: torch.Tensor, shown: str
) -> None:
    guard = NaNGuard(every_n_steps=1)
    fine = trainer(tmp_path, **{"train/g": torch.tensor(1.0), "train/d": torch.tensor(2.0)})
    guard.on_train_batch_end(fine, MODULE, None, None, 0)
    broken = trainer(tmp_path, **{"train/g": torch.tensor(1.0), "train/d": value})
    with pytest.raises(ValueError, match=f"train/d is {shown} in epoch 2, batch 1. No checkpoint"):
        guard.on_train_batch_end(broken, MODULE, None, None, 1)


def test_the_first_bad_step_is_named_though_it_is_looked_at_later(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "last.ckpt").touch()
    guard = NaNGuard(every_n_steps=4)
    for batch, loss in enumerate((1.0, float("nan"), float("nan"))):
        after_batch(guard, tmp_path, batch, loss=torch.tensor(loss))
    named = r"train/loss is nan in epoch 2, batch 1. The last good checkpoint is .*last.ckpt"
    with pytest.raises(ValueError, match=named):
        after_batch(guard, tmp_path, 3, loss=NAN)


def test_values_of_validation_and_of_other_shapes_are_not_losses(tmp_path: Path) -> None:
    guard = NaNGuard(every_n_steps=1)
    validated = trainer(tmp_path, **{"val/x": NAN})
    guard.on_train_batch_end(validated, MODULE, {"flow": NAN.expand(2, 2)}, None, 0)


def test_what_was_held_is_not_changed_by_later_steps(tmp_path: Path) -> None:
    guard, loss = NaNGuard(every_n_steps=2), torch.tensor(float("nan"))
    after_batch(guard, tmp_path, 0, loss=loss)
    loss.zero_()
    with pytest.raises(ValueError, match="batch 0"):
        after_batch(guard, tmp_path, 1, loss=loss)


def test_nothing_is_saved_while_a_loss_or_a_weight_is_not_finite(tmp_path: Path) -> None:
    guard = NaNGuard(every_n_steps=100)
    weights = {"count": torch.tensor(3), "w": torch.ones(2)}
    guard.on_save_checkpoint(trainer(tmp_path), MODULE, {"state_dict": weights})
    weights["w"] = torch.tensor([1.0, float("nan")])
    with pytest.raises(ValueError, match="w is not finite in epoch 2, step 9"):
        guard.on_save_checkpoint(trainer(tmp_path), MODULE, {"state_dict": weights})
    after_batch(guard, tmp_path, 5, loss=NAN)
    with pytest.raises(ValueError, match="batch 5"):
        guard.on_save_checkpoint(trainer(tmp_path), MODULE, {"state_dict": {}})


def test_a_wrong_interval_is_refused() -> None:
    with pytest.raises(ValueError, match="1 or more"):
        NaNGuard(every_n_steps=0)
