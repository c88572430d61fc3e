from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from datamodules.errors import DatasetError
from datamodules.sets.celeba import CelebADataModule
from tests.datamodules.still_trees import celeba_tree, touch

pytestmark = pytest.mark.filterwarnings("ignore:CelebA at")


@pytest.mark.parametrize("kaggle", [False, True])
def test_both_forms(tmp_path: Path, kaggle: bool) -> None:
    celeba_tree(tmp_path / "celeba", 20, kaggle=kaggle)
    index = CelebADataModule().read_index(tmp_path)
    assert index.names[0] == "000001"
    assert Counter(index.splits) == {"train": 12, "val": 4, "test": 4}
    assert index.expressions.tolist() == [-1] * 20
    assert index.files is not None
    assert all(file.is_file() for file in index.files)
    assert index.boxes is not None
    assert index.boxes[7].tolist() == [0, 20, 178, 178]
    assert index.problems == []
    if kaggle:
        assert index.subjects is None
    else:
        assert index.subjects is not None
        assert index.subjects[:4] == ["2880", "2880", "2881", "2881"]


@pytest.mark.parametrize("kaggle", [False, True])
def test_faces_are_left_out_by_attribute(tmp_path: Path, kaggle: bool) -> None:
    celeba_tree(tmp_path, kaggle=kaggle)
    index = CelebADataModule(exclude=["Eyeglasses"]).read_index(tmp_path)
    assert index.names == ["000001", "000003", "000005", "000007", "000009"]
    assert index.splits == ["train", "train", "train", "val", "test"]
    assert "5 faces with Eyeglasses left out" in index.notes
    assert CelebADataModule(exclude=["Smiling"]).read_index(tmp_path).names == []
    with pytest.raises(DatasetError, match="no attribute Hat; there is Eyeglasses, Smiling"):
        CelebADataModule(exclude=["Hat"]).read_index(tmp_path)


def test_lists_and_files_that_do_not_agree(tmp_path: Path) -> None:
    images = celeba_tree(tmp_path) / "img_align_celeba"
    (images / "000002.jpg").unlink()
    touch(images / "000011.jpg", images / ".DS_Store", images / "readme.txt")
    index = CelebADataModule().read_index(tmp_path)
    assert len(index) == 9
    assert [(path.name, reason) for path, reason in index.problems] == [
        ("000011.jpg", "is in no part of list_eval_partition"),
        ("000002.jpg", "is listed but not there"),
    ]
    with pytest.raises(DatasetError, match=r"train 5 \(of 162770\)"):
        CelebADataModule(strict_counts=True).read_index(tmp_path)


def test_without_lists_all_faces_train(tmp_path: Path) -> None:
    celeba_tree(tmp_path)
    for file in tmp_path.glob("*.txt"):
        file.unlink()
    index = CelebADataModule().read_index(tmp_path)
    assert index.splits == ["train"] * 10
    assert index.subjects is None
    with pytest.raises(DatasetError, match=r"data\.exclude needs list_attr_celeba\.txt"):
        CelebADataModule(exclude=["Smiling"]).read_index(tmp_path)


def test_damaged_lists_and_missing_faces(tmp_path: Path) -> None:
    celeba_tree(tmp_path / "a")
    (tmp_path / "a" / "list_eval_partition.txt").write_text("000001.jpg 0\n000002.jpg\n")
    with pytest.raises(DatasetError, match=r"line 2 has too few columns: '000002\.jpg'"):
        CelebADataModule().read_index(tmp_path / "a")
    with pytest.raises(DatasetError, match=r"(?s)does not exist.*img_align_celeba.*mmlab"):
        CelebADataModule().read_index(tmp_path / "b")
