from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from experiments.command.errors import CommandError
from experiments.crossval.folder import About, CrossvalFolder, open_folder
from tests.experiments.crossval import made

ABOUT = About("tiny", "abcdef0123", "Model", "Data", 0, {"lr": 0.1}, ("*_back",), ("--config", "a"))


def test_a_config_has_a_folder_of_its_own(tmp_path: Path) -> None:
    first = open_folder(tmp_path, ABOUT)
    other = open_folder(tmp_path, replace(ABOUT, config_hash="123456789a"))
    assert first.path == tmp_path / "tiny" / "crossval-abcdef"
    assert other.path == tmp_path / "tiny" / "crossval-123456"
    assert replace(first.about(), created="") == ABOUT


def test_a_second_start_finds_the_first(tmp_path: Path) -> None:
    first = open_folder(tmp_path, ABOUT).about()
    again = open_folder(tmp_path, ABOUT).about()
    assert again == first
    assert again.wandb_id("fold_00") == first.wandb_id("fold_00")
    assert first.group == "tiny-crossval-abcdef"


def test_the_same_config_elsewhere_is_another_run_in_wandb(tmp_path: Path) -> None:
    here, there = (open_folder(tmp_path / name, ABOUT).about() for name in ("here", "there"))
    assert here.wandb_id("fold_00") != there.wandb_id("fold_00")


def test_configs_that_begin_alike_are_not_mixed(tmp_path: Path) -> None:
    open_folder(tmp_path, ABOUT)
    with pytest.raises(CommandError, match="holds another config"):
        open_folder(tmp_path, replace(ABOUT, config_hash="abcdef9999"))


def test_file_systems_without_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def link(*args: object) -> None:
        raise PermissionError

    monkeypatch.setattr("experiments.crossval.folder.os.link", link)
    first = open_folder(tmp_path, ABOUT).about()
    assert open_folder(tmp_path, ABOUT).about() == first


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
        CrossvalFolder(tmp_path / "nothing").about()
