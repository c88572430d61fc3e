from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datamodules.errors import DatasetError
from datamodules.labels import Expression
from datamodules.sets.lists.challenge_lists import ChallengeLists, read_challenge_lists

HAPPY, FEAR, NEUTRAL = Expression.HAPPINESS, Expression.FEAR, Expression.NEUTRAL
RAFDB = ["train_00001", "test_0003", "test_0004", "test_0005"]
FERPLUS = ["fer0032226", "fer0034656", "fer0034657"]


def raf_lists(folder: Path, occlusion: str = "test_0003_aligned 3 4") -> Path:
    place = folder / "RAF_DB_dir"
    place.mkdir(parents=True)
    # CRLF, one image twice, an image that is not in the data, no newline at the end.
    rows = [occlusion, "test_9999_aligned 0 1", occlusion]
    (place / "rafdb_occlusion_list.txt").write_bytes("\r\n".join(rows).encode())
    (place / "val_raf_db_list.txt").write_text("1/test_0004_aligned.jpg\n6/test_0005_aligned.jpg\n")
    (place / "val_raf_db_list_45.txt").write_text("6/test_0005_aligned.jpg\n")
    return folder


def fer_lists(folder: Path) -> Path:
    place = folder / "FERplus_dir"
    place.mkdir(parents=True)
    (place / "jianfei_occlusion_list.txt").write_bytes(b"1_fer0034656.png 8 0\r\n")
    (place / "pose_30_ferplus_list.txt").write_text("0/fer0032226.jpg\n1/fer0034656.jpg\n")
    (place / "pose_45_ferplus_list.txt").write_text("0/fer0099999.jpg\n")
    return folder


def rafdb_lists(folder: Path, *columns: Any) -> ChallengeLists:
    return read_challenge_lists("RAF-DB", folder / "root", folder, *columns)


def ferplus_lists(folder: Path, *columns: Any) -> ChallengeLists:
    return read_challenge_lists("FERPlus", folder / "root", folder, *columns)


def labels(*expressions: int) -> np.ndarray[tuple[int], np.dtype[np.int8]]:
    return np.array(expressions, np.int8)


def test_lists_of_rafdb_count_from_0(tmp_path: Path) -> None:
    codes = labels(HAPPY, HAPPY, FEAR, NEUTRAL)
    for folder in (raf_lists(tmp_path / "lists"), tmp_path / "lists" / "RAF_DB_dir"):
        found = rafdb_lists(folder, RAFDB, codes)
        assert {name: mask.tolist() for name, mask in found.subsets.items()} == {
            "occlusion": [False, True, False, False],
            "pose30": [False, False, True, True],
            "pose45": [False, False, False, True],
        }
    assert found.notes[0] == (
        "occlusion: 1 of the 2 images of rafdb_occlusion_list.txt are in the data"
    )


def test_lists_of_ferplus_and_one_of_other_images(tmp_path: Path) -> None:
    found = ferplus_lists(fer_lists(tmp_path), FERPLUS, labels(NEUTRAL, HAPPY, HAPPY))
    assert {name: mask.tolist() for name, mask in found.subsets.items()} == {
        "occlusion": [False, True, False],
        "pose30": [True, True, False],
    }
    assert "pose45: 0 of the 1 images of pose_45_ferplus_list.txt are in the data" in found.notes


def test_images_without_a_label_are_in_no_list(tmp_path: Path) -> None:
    found = ferplus_lists(fer_lists(tmp_path), FERPLUS, labels(-1, HAPPY, -1))
    assert found.subsets["pose30"].tolist() == [False, True, False]


def test_other_labels_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(
        DatasetError,
        match=r"disagree on 1 of 1 labels; the first is test_0003: happiness in the list, fear in",
    ):
        rafdb_lists(raf_lists(tmp_path), RAFDB, labels(HAPPY, FEAR, FEAR, NEUTRAL))


@pytest.mark.parametrize("line", ["test_0003_aligned 9 4", "test_0003_aligned", "nothing"])
def test_other_lines_are_an_error(tmp_path: Path, line: str) -> None:
    with pytest.raises(DatasetError, match=r"Line 1 of .*rafdb_occlusion_list.* from 0 to 6"):
        rafdb_lists(raf_lists(tmp_path, line), RAFDB, labels(HAPPY, HAPPY, FEAR, NEUTRAL))


def test_missing_lists(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"expected FERplus_dir/ with jianfei_occlusion_list"):
        ferplus_lists(raf_lists(tmp_path), FERPLUS, labels(0, 0, 0))
    (tmp_path / "RAF_DB_dir" / "val_raf_db_list_45.txt").unlink()
    with pytest.raises(DatasetError, match=r"val_raf_db_list_45\.txt cannot be read"):
        rafdb_lists(tmp_path, RAFDB, labels(HAPPY, HAPPY, FEAR, NEUTRAL))


def test_lists_in_the_root_are_taken_where_none_are_named(tmp_path: Path) -> None:
    codes = labels(HAPPY, HAPPY, FEAR, NEUTRAL)
    for root in (tmp_path, tmp_path / "nowhere"):
        assert read_challenge_lists("RAF-DB", root, None, RAFDB, codes) == ChallengeLists({}, [])
    raf_lists(tmp_path / "lists")
    found = read_challenge_lists("RAF-DB", tmp_path, None, RAFDB, codes)
    assert list(found.subsets) == ["occlusion", "pose30", "pose45"]
