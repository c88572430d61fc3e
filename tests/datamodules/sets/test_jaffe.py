from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from datamodules.errors import DatasetError
from datamodules.labels import JAFFE_CODES, Expression
from datamodules.sets.jaffe import JAFFEDataModule

pytestmark = pytest.mark.filterwarnings("ignore:JAFFE at")

PEOPLE = ("KA", "NA", "SU", "YM")  # two of them are expressions, too


def tree(folder: Path, takes: int = 1) -> Path:
    folder.mkdir(parents=True)
    serial = 0
    for person in PEOPLE:
        for code in JAFFE_CODES:
            for take in range(1, takes + 1):
                serial += 1
                shade = np.full((8, 8), 2 * serial, np.uint8)
                cv2.imwrite(str(folder / f"{person}.{code}{take}.{serial}.tiff"), shade)
    for junk in (".DS_Store", "README", "README_FIRST.txt", "KA.XX1.1.tiff"):
        (folder / junk).touch()
    return folder


@pytest.mark.parametrize("place", ["", "jaffe", "archive/jaffe"])
def test_fields_are_parted_by_dots(tmp_path: Path, place: str) -> None:
    tree(tmp_path / "root" / place)
    index = JAFFEDataModule().read_index(tmp_path / "root")
    assert len(index) == 28
    assert index.splits is None
    rows = zip(index.names, index.subjects or [], index.expressions, strict=True)
    found = {name: (subject, expression) for name, subject, expression in rows}
    assert found["NA.SU1.10.tiff"] == ("NA", Expression.SURPRISE)
    assert found["SU.NE1.15.tiff"] == ("SU", Expression.NEUTRAL)
    assert found["KA.AN1.5.tiff"] == ("KA", Expression.ANGER)


def test_folds_share_nobody(tmp_path: Path) -> None:
    root = tree(tmp_path / "jaffe", takes=2)
    data = JAFFEDataModule(root=str(root), cache_dir=str(tmp_path / "cache"), size=8)
    data.setup("fit")
    assert data.num_folds == 4
    assert data.split_sizes == {"train": 28, "val": 14, "test": 14}
    assert not set(data.train_subjects) & set(data.test_subjects)


def test_counts_and_missing_data(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"(?s)does not exist.*KA\.AN1\.39\.tiff.*zenodo"):
        JAFFEDataModule().read_index(tmp_path / "nowhere")
    with pytest.raises(DatasetError, match=r"NE 4 \(of 30\)"):
        JAFFEDataModule(strict_counts=True).read_index(tree(tmp_path / "jaffe"))
