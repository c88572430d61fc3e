from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

from datamodules.files import MARKER
from datamodules.sets.rafdb import RAFDBDataModule
from datamodules.synthetic import write_rafdb


@pytest.fixture(scope="module")
def raf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("raf") / "rafdb"
    write_rafdb(root, train=14, test=28, occluded=0.5, workers=2)
    return root


def test_layout_is_the_official_one(raf: Path) -> None:
    assert {path.name for path in raf.iterdir()} == {"basic", "lists", MARKER}
    text = (raf / "basic" / "EmoLabel" / "list_patition_label.txt").read_text()
    assert re.fullmatch(
        r"(train_\d{5}\.jpg [1-7]\n){14}(test_\d{4}\.jpg [1-7]\n){27}test_\d{4}\.jpg [1-7]", text
    )
    images = sorted((raf / "basic" / "Image" / "aligned").iterdir())
    assert len(images) == 42
    for path in images:
        assert re.fullmatch(r"(train_\d{5}|test_\d{4})_aligned\.jpg", path.name)
        image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        assert image.shape == (100, 100, 3)
        assert image.std() > 15


def test_the_reader_reads_it_with_its_lists(raf: Path) -> None:
    index = RAFDBDataModule().read_index(raf)
    assert index.problems == []
    assert Counter(index.splits) == {"train": 14, "test": 28}
    assert set(Counter(index.expressions[:14].tolist()).values()) == {2}
    assert set(Counter(index.expressions[14:].tolist()).values()) == {4}
    assert "42 synthetic images" in index.notes
    subsets = index.subsets
    assert set(subsets) == {"occlusion", "pose30", "pose45"}
    assert not np.concatenate([mask[:14] for mask in subsets.values()]).any()
    assert 5 < subsets["occlusion"].sum() < 24
    assert not (subsets["pose45"] & ~subsets["pose30"]).any()
    assert 0 < subsets["pose45"].sum() < subsets["pose30"].sum() < 22


def test_lists_have_the_public_format(raf: Path) -> None:
    place = raf / "lists" / "RAF_DB_dir"
    occluded = (place / "rafdb_occlusion_list.txt").read_bytes().decode()
    assert re.fullmatch(r"(test_\d{4}_aligned [0-6] [1-4](\r\n|$))+", occluded)
    for name in ("val_raf_db_list.txt", "val_raf_db_list_45.txt"):
        assert re.fullmatch(r"([0-6]/test_\d{4}_aligned\.jpg\n)+", (place / name).read_text())


def test_the_same_arguments_give_the_same_bytes(raf: Path, tmp_path: Path) -> None:
    write_rafdb(tmp_path / "again", train=14, test=28, occluded=0.5, workers=1)
    for path in raf.rglob("*.*"):
        assert (tmp_path / "again" / path.relative_to(raf)).read_bytes() == path.read_bytes()


@pytest.mark.parametrize(("train", "test", "share"), [(0, 1, 0.1), (1, 0, 0.1), (1, 1, 1.5)])
def test_sizes_out_of_range(tmp_path: Path, train: int, test: int, share: float) -> None:
    with pytest.raises(ValueError, match=rf"got {train}, {test} and {share}"):
        write_rafdb(tmp_path / "x", train=train, test=test, occluded=share)
