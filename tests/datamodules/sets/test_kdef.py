from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from datamodules.errors import DatasetError
from datamodules.labels import Expression
from datamodules.sets.kdef import VIEWS, KDEFDataModule
from tests.datamodules.still_trees import kdef_tree, touch

pytestmark = pytest.mark.filterwarnings("ignore:KDEF at")


def test_both_sessions_are_one_person(tmp_path: Path) -> None:
    index = KDEFDataModule().read_index(kdef_tree(tmp_path))
    assert len(index) == 2 * 2 * 7
    assert Counter(index.subjects) == {"F01": 14, "M01": 14}
    assert Counter(index.expressions.tolist()) == dict.fromkeys(range(7), 4)
    assert index.problems == []


def test_af_is_afraid_whatever_the_session_and_sex(tmp_path: Path) -> None:
    index = KDEFDataModule().read_index(kdef_tree(tmp_path))
    found = dict(zip(index.names, index.expressions.tolist(), strict=True))
    assert found["AF01AFS"] == found["BM01AFS"] == Expression.FEAR
    assert found["AF01NES"] == Expression.NEUTRAL


def test_spoilt_pictures_are_taken_only_when_asked_for(tmp_path: Path) -> None:
    kdef_tree(tmp_path)
    index = KDEFDataModule(views=VIEWS).read_index(tmp_path)
    assert len(index) == 140 - 1
    assert "AF01SUFR" not in index.names
    assert "1 spoilt ones left out" in index.notes[0]
    assert "AF01SUFR" in KDEFDataModule(views=VIEWS, unusable=True).read_index(tmp_path).names


def test_misnamed_files_get_their_names(tmp_path: Path) -> None:
    kdef_tree(tmp_path)
    folder = tmp_path / "KDEF"
    touch(folder / "AF31" / "AF31V.JPG", folder / "AM31" / "AM31H.JPG")
    touch(folder / "AF01" / "AF01X.JPG", folder / "AF31" / "AF31SAHL.JPG")
    index = KDEFDataModule(views=("HL", "HR")).read_index(tmp_path)
    row = index.names.index("AM31SUHR")
    assert index.expressions[row] == Expression.SURPRISE
    assert index.subjects is not None
    assert index.subjects[row] == "M31"
    assert index.names.count("AF31SAHL") == 1
    assert [path.name for path, _ in index.problems] == ["AF31V.JPG"]
    assert "a second picture AF31SAHL" in index.problems[0][1]


def test_the_published_numbers_are_recognised(tmp_path: Path) -> None:
    kdef_tree(tmp_path, [f"{sex}{number:02d}" for sex in "FM" for number in range(1, 36)])
    assert len(KDEFDataModule(strict_counts=True).read_index(tmp_path)) == 980
    assert (
        len(KDEFDataModule(views=VIEWS, unusable=True, strict_counts=True).read_index(tmp_path))
        == 4900
    )
    assert len(KDEFDataModule(views=VIEWS, strict_counts=True).read_index(tmp_path)) == 4890
    (tmp_path / "KDEF" / "AF01" / "AF01ANS.JPG").unlink()
    with pytest.raises(DatasetError, match=r"S 979 \(of 980\)"):
        KDEFDataModule(strict_counts=True).read_index(tmp_path)


def test_wrong_views_and_roots(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"data\.views must name some of FL, HL, S, HR, FR"):
        KDEFDataModule(views=("frontal",)).read_index(tmp_path)
    with pytest.raises(DatasetError, match=r"(?s)is empty.*AF01AFS\.JPG.*kdef\.se"):
        KDEFDataModule().read_index(tmp_path)
