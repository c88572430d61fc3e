from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import pytest

from datamodules.errors import DatasetError
from datamodules.labels import SFEW_CODES
from datamodules.sets.sfew import SFEWDataModule
from tests.datamodules.still_trees import sfew_tree, touch

pytestmark = pytest.mark.filterwarnings("ignore:SFEW")
OLD = "Val_Aligned_Faces"


@pytest.mark.parametrize("val", ["Val_Aligned_Faces_new/Val_Aligned_Faces", OLD])
def test_both_releases_at_any_depth(tmp_path: Path, val: str) -> None:
    sfew_tree(tmp_path / "a" / "b" / "c", val)
    index = SFEWDataModule().read_index(tmp_path)
    assert Counter(index.splits) == {"train": 14, "test": 7}
    assert index.files is not None
    for file, expression in zip(index.files, index.expressions.tolist(), strict=True):
        assert SFEW_CODES[file.parent.name] == expression
    assert Counter(index.subjects) == {"airheads": 7, "pretty_in_pink": 7, "hangover": 7}
    assert index.problems == []
    assert index.notes[0] == f"faces of train_aligned_faces and {val.split('/')[0].lower()}"
    assert index.notes[1] == "2 films to train on, 1 others to test on"


def test_the_newer_release_is_taken_where_both_are(tmp_path: Path) -> None:
    sfew_tree(tmp_path)
    sfew_tree(tmp_path, OLD)
    index = SFEWDataModule().read_index(tmp_path)
    assert Counter(index.splits)["test"] == 7
    assert index.files is not None
    assert all("_new" in str(f) for f in index.files if "Val" in f.parts)


def test_a_film_in_both_parts_leaves_people_unknown(tmp_path: Path) -> None:
    sfew_tree(tmp_path)
    folder = tmp_path / "Val" / "Val_Aligned_Faces_new" / "Val_Aligned_Faces" / "Sad"
    touch(folder / "Airheads_000000009_00000009.png")
    index = SFEWDataModule().read_index(tmp_path)
    assert index.subjects is None
    assert "films in both parts: airheads" in index.notes


def test_a_face_in_two_classes_is_a_problem(tmp_path: Path) -> None:
    folder = sfew_tree(tmp_path) / "Train" / "Train_Aligned_Faces"
    name = next((folder / "Sad").glob("Pretty*")).name
    shutil.copy(folder / "Sad" / name, folder / "Fear" / name)
    index = SFEWDataModule().read_index(tmp_path)
    assert Counter(index.splits)["train"] == 13
    assert [reason for _, reason in index.problems] == ["is in several classes"] * 2


def test_other_counts_and_missing_parts(tmp_path: Path) -> None:
    sfew_tree(tmp_path)
    with pytest.raises(DatasetError, match=r"train 14 \(of 891\), validation 7 \(of 431\)"):
        SFEWDataModule(strict_counts=True).read_index(tmp_path)
    shutil.rmtree(tmp_path / "Val")
    with pytest.raises(DatasetError, match=r"(?s)SFEW.*Val_Aligned_Faces_new.*licence"):
        SFEWDataModule().read_index(tmp_path)
