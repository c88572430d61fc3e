from __future__ import annotations

from experiments.command.checkpoint_config import reconcile


def test_what_is_predicted_on_is_no_difference() -> None:
    model = {"class_path": "lightning_modules.PCNN", "init_args": {}}
    saved = {"model": model, "data": {"init_args": {"input": None, "every": 1, "fold": 0}}}
    given = {"model": model, "data": {"init_args": {"input": "a.mp4", "every": 5, "fold": 1}}}
    (said,) = reconcile(saved, given, by_hand=set(), training=False).said
    assert said == "data.fold: 0 in the checkpoint, 1 in this command; the command's is used"
