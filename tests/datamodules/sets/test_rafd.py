from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import pytest

from datamodules.errors import DatasetError
from datamodules.labels import Expression
from datamodules.sets.rafd import RaFDDataModule
from tests.datamodules.still_trees import rafd_tree, touch

pytestmark = pytest.mark.filterwarnings("ignore:RaFD at")


def test_the_front_with_all_gazes_is_the_default(tmp_path: Path) -> None:
    index = RaFDDataModule().read_index(rafd_tree(tmp_path))
    assert len(index) == 4 * 8 * 3
    assert index.splits is None
    assert sorted(set(index.subjects or [])) == ["01", "02", "04", "72"]
    assert Counter(index.expressions.tolist()) == dict.fromkeys(range(8), 12)
    assert index.problems == []
    row = index.names.index("Rafd090_72_Caucasian_female_contemptuous_left")
    assert index.expressions[row] == Expression.CONTEMPT
    assert index.files is not None
    assert index.files[row].stem == index.names[row]
    assert "4 models (of 67)" in index.notes


def test_cameras_and_gazes_are_chosen(tmp_path: Path) -> None:
    rafd_tree(tmp_path)
    assert (
        len(RaFDDataModule(angles=(0, 45, 90, 135, 180), gazes=("frontal",)).read_index(tmp_path))
        == 4 * 8 * 5
    )
    assert len(RaFDDataModule(angles=(90,), gazes=("frontal",)).read_index(tmp_path)) == 4 * 8
    with pytest.raises(ValueError, match=r"data\.angles must name some of 0, 45, .*\[30\]"):
        RaFDDataModule(angles=(30,)).read_index(tmp_path)
    with pytest.raises(ValueError, match=r"data\.gazes must name some of frontal, left"):
        RaFDDataModule(angles=(90,), gazes=()).read_index(tmp_path)


def test_the_published_number_is_recognised_and_may_be_demanded(tmp_path: Path) -> None:
    rafd_tree(tmp_path, models=range(1, 68), angles=(90,), gazes=("frontal",))
    index = RaFDDataModule(angles=(90,), gazes=("frontal",), strict_counts=True).read_index(
        tmp_path
    )
    assert len(index) == 536
    assert any("536 images, each count as published" in note for note in index.notes)
    (tmp_path / "Rafd090_01_Caucasian_female_sad_frontal.jpg").unlink()
    with pytest.raises(DatasetError, match=r"sad 66 \(of 67\)"):
        RaFDDataModule(angles=(90,), gazes=("frontal",), strict_counts=True).read_index(tmp_path)


def test_wrappers_copies_and_unknown_words(tmp_path: Path) -> None:
    inner = rafd_tree(tmp_path / "RaFD" / "RaFD", models=(1,), angles=(90,), gazes=("left",))
    shutil.copytree(inner, tmp_path / "RaFD" / "copy")
    touch(inner / "Rafd090_01_Caucasian_female_bored_left.jpg")
    index = RaFDDataModule().read_index(tmp_path)
    assert len(index) == 8
    assert [(path.name, reason) for path, reason in index.problems] == [
        (
            "Rafd090_01_Caucasian_female_bored_left.jpg",
            "its name has 'bored', which is no expression of RaFD",
        )
    ]


def test_a_missing_root_shows_the_tree(tmp_path: Path) -> None:
    touch(tmp_path / "holiday.jpg")
    with pytest.raises(DatasetError, match=r"(?s)holds only holiday\.jpg.*Rafd090_01_.*rafd\.nl"):
        RaFDDataModule().read_index(tmp_path)
