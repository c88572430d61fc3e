from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

from datamodules.files import MARKER
from datamodules.sets.ferplus import FERPlusDataModule
from datamodules.sets.lists.vote_rules import RULES
from datamodules.synthetic import write_ferplus


@pytest.fixture(scope="module")
def plus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("plus") / "ferplus"
    write_ferplus(root, train=48, val=8, test=8, workers=2)
    return root


def test_layout_is_the_official_one(plus: Path) -> None:
    assert {path.name for path in plus.iterdir()} == {"data", "fer2013new.csv", MARKER}
    for part, count in (("Train", 48), ("Valid", 8), ("Test", 8)):
        folder = plus / "data" / f"FER2013{part}"
        labels = (folder / "label.csv").read_text()
        row = r'fer\d{7}\.png,"\(0, 0, 48, 48\)"(,\d+){10}\n'
        assert re.fullmatch(rf"({row}){{{count}}}", labels)
        images = list(folder.glob("*.png"))
        assert len(images) == count
        assert {cv2.imread(str(p), cv2.IMREAD_UNCHANGED).shape for p in images} == {(48, 48)}
    table = (plus / "fer2013new.csv").read_text().splitlines()
    assert table[0].startswith("Usage,Image name,neutral,happiness")
    usages = Counter(line.partition(",")[0] for line in table[1:])
    assert usages == {"Training": 48 + 1 + 1, "PublicTest": 8, "PrivateTest": 8}


def test_the_reader_meets_all_that_is_odd(plus: Path) -> None:
    for rule in RULES:
        index = FERPlusDataModule(rule=rule).read_index(plus)
        assert index.problems == []
        assert set(index.splits or []) == {"train", "val", "test"}
        assert set(index.expressions.tolist()) == set(range(8))
        assert 48 < len(index) <= 64
    majority = FERPlusDataModule().read_index(plus)
    for odd in ("fer0000000", "fer0000002", "fer0000003"):  # a half, no expression, all single
        assert odd not in majority.names
    assert "fer0000001" in majority.names  # nine votes
    assert "FER2013Train: 1 rows with other than 10 votes" in majority.notes
    other = FERPlusDataModule(rule="argmax8", votes_file="fer2013new.csv").read_index(plus)
    assert "FER2013Train: 1 rows without a name" in other.notes
    assert "FER2013Train: 1 rows of a name that comes again later" in other.notes
    assert "fer0000006" not in other.names


def test_a_copy_has_votes_of_its_own_in_one_file_only(plus: Path) -> None:
    folder = plus / "data" / "FER2013Train"
    first, copy = ((folder / f"fer{n:07d}.png").read_bytes() for n in (4, 5))
    assert first == copy
    own = FERPlusDataModule(rule="argmax8").read_index(plus)
    listed = FERPlusDataModule(rule="argmax8", votes_file="fer2013new.csv").read_index(plus)
    rows = [[index.names.index(f"fer{n:07d}") for n in (4, 5)] for index in (own, listed)]
    assert own.votes is not None
    assert listed.votes is not None
    assert not np.array_equal(*own.votes[rows[0]])
    assert np.array_equal(*listed.votes[rows[1]])


def test_too_few_images(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="needs 8 images at least; got 7, 8 and 8"):
        write_ferplus(tmp_path / "x", train=7, val=8, test=8)
