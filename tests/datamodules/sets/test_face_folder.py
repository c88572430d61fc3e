from __future__ import annotations

from pathlib import Path

import pytest

from datamodules.errors import DatasetError
from datamodules.sets.face_folder import FaceFolderDataModule
from tests.datamodules.still_trees import touch


def test_pictures_at_any_depth(tmp_path: Path) -> None:
    touch(tmp_path / "b.JPG", tmp_path / "a" / "x" / "y" / "c.png", tmp_path / "a" / "b.jpeg")
    touch(tmp_path / ".hidden.png", tmp_path / "__MACOSX" / "d.png", tmp_path / "a" / "notes.txt")
    touch(tmp_path / ".cache" / "e.png", tmp_path / "png")
    index = FaceFolderDataModule().read_index(tmp_path)
    assert index.names == ["a/b.jpeg", "a/x/y/c.png", "b.JPG"]
    assert index.files == [tmp_path / name for name in index.names]
    assert index.expressions.tolist() == [-1, -1, -1]
    assert index.splits == ["train"] * 3
    assert index.subjects is None


def test_an_empty_folder_and_none(tmp_path: Path) -> None:
    touch(tmp_path / "empty" / "deeper" / "list.txt")
    with pytest.raises(DatasetError, match=r"empty holds no picture \(\.bmp, .*nor does any"):
        FaceFolderDataModule().read_index(tmp_path / "empty")
    with pytest.raises(DatasetError, match=r"does not exist; give it as data\.root"):
        FaceFolderDataModule().read_index(tmp_path / "nowhere")
