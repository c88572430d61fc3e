from __future__ import annotations

from typing import Any

import pytest

from experiments.run.membership import Membership, departures, fold_free_hash


def config(**data: Any) -> dict[str, Any]:
    return {
        "seed_everything": 0,
        "trainer": {
            "max_epochs": 2,
            "limit_train_batches": None,
            "limit_test_batches": 1.0,
            "overfit_batches": 0.0,
        },
        "model": {"class_path": "M"},
        "data": {"class_path": "D", "init_args": {"root": None, "fold": 0, **data}},
        "runs_dir": "runs",
        "ckpt_path": None,
    }


def test_a_process_is_told_by_its_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Membership.current() is None
    member = Membership("runs/x/crossval-1/fold_00", "group", "0a", "ff", 12)
    for name, value in member.environment().items():
        monkeypatch.setenv(name, value)
    assert Membership.current() == member


def test_folds_and_commands_share_a_hash() -> None:
    shared = fold_free_hash(config())
    assert fold_free_hash(config(fold=7, cache_dir="/scratch", num_workers=3)) == shared
    test = {**config(fold=3), "ckpt_path": "best.ckpt", "verbose": False, "weights_only": None}
    assert fold_free_hash(test) == shared


def test_whatever_changes_results_changes_the_hash() -> None:
    for other in (
        config(folds=5),
        config(root="/data/ck"),
        {**config(), "seed_everything": 1},
        {**config(), "model": {"class_path": "N"}},
    ):
        assert fold_free_hash(other) != fold_free_hash(config())


def test_hashing_leaves_the_config_alone() -> None:
    given = config()
    fold_free_hash(given)
    assert given == config()


def test_departures_are_named() -> None:
    assert departures(config()) == []
    assert departures(config(labels_csv="mine.csv")) == ["labels by a list of the user's"]
    short = config()
    # One batch, which is not the whole.
    short["trainer"].update(limit_test_batches=1, overfit_batches=0.5)
    assert departures(short) == [
        "shortened by trainer.limit_test_batches",
        "shortened by trainer.overfit_batches",
    ]
