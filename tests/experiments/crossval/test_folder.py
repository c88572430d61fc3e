from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from experiments.command.errors import CommandError
from experiments.crossval.folder import CrossvalFolder, Description, open_folder
from tests.experiments.crossval import made

TINY = Description(
    experiment="tiny",
    config_hash="abcdef0123",
    model="Model",
    data="Data",
    seed=0,
    model_arguments={"lr": 0.1},
    data_arguments={"batch_size": 16},
    trainer_arguments={"max_epochs": 1, "callbacks": []},
    headline=("*_back",),
    arguments=("--config", "a"),
    setting_hash="5e771295",
)


def test_a_config_has_a_folder_of_its_own(tmp_path: Path) -> None:
    first = open_folder(tmp_path, TINY)
    other = open_folder(tmp_path, replace(TINY, config_hash="123456789a"))
    assert first.path == tmp_path / "tiny" / "crossval-abcdef"
    assert other.path == tmp_path / "tiny" / "crossval-123456"
    assert replace(first.description(), created="") == TINY


def test_a_second_start_finds_the_first(tmp_path: Path) -> None:
    first = open_folder(tmp_path, TINY).description()
    again = open_folder(tmp_path, TINY).description()
    assert again == first
    assert again.wandb_id("fold_00") == first.wandb_id("fold_00")


def test_seeds_of_a_setting_are_one_group_and_runs_of_their_own(tmp_path: Path) -> None:
    seeds = [
        open_folder(tmp_path, replace(TINY, config_hash=digest, seed=seed))
        for seed, digest in enumerate(("abcdef0123", "123456789a"))
    ]
    first, second = (folder.description() for folder in seeds)
    assert first.group == second.group == "tiny-5e771295"
    assert first.wandb_id("fold_00") != second.wandb_id("fold_00")


def test_the_same_config_elsewhere_is_another_run_in_wandb(tmp_path: Path) -> None:
    here, there = (open_folder(tmp_path / name, TINY).description() for name in ("here", "there"))
    assert here.wandb_id("fold_00") != there.wandb_id("fold_00")


def test_configs_that_begin_alike_are_not_mixed(tmp_path: Path) -> None:
    open_folder(tmp_path, TINY)
    with pytest.raises(CommandError, match="holds another config"):
        open_folder(tmp_path, replace(TINY, config_hash="abcdef9999"))


def test_of_many_that_start_at_once_one_description_holds(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        folders = list(pool.map(lambda _: open_folder(tmp_path, TINY), range(32)))
    assert len({folder.description().created for folder in folders}) == 1


def test_a_description_that_was_cut_short_is_written_again(tmp_path: Path) -> None:
    folder = open_folder(tmp_path, TINY)
    (folder.path / "crossval.json").write_text('{"experiment": "ti')
    assert replace(open_folder(tmp_path, TINY).description(), created="") == TINY


def test_folds_and_their_number(tmp_path: Path) -> None:
    folder = CrossvalFolder(tmp_path)
    assert folder.num_folds() is None
    folder.fold(0).path.mkdir()
    assert folder.num_folds() is None
    made.write_fold(folder.fold(11).path, 11, folds=20)
    assert folder.started() == [0, 11]
    assert folder.num_folds() == 20


def test_no_cross_validation(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="is no cross-validation"):
        CrossvalFolder(tmp_path / "nothing").description()
