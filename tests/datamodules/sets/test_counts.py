from __future__ import annotations

from pathlib import Path

import pytest

from datamodules.errors import DatasetError
from datamodules.files import MARKER
from datamodules.sets.counts import compare_counts

PUBLISHED = {"train": 3, "test": 2}


def test_equal_counts_are_said(tmp_path: Path) -> None:
    note = compare_counts("X", tmp_path, {"train": 3, "test": 2}, PUBLISHED, strict=True)
    assert note == "5 images, each count as published"


def test_a_difference_warns_and_may_be_an_error(tmp_path: Path) -> None:
    said = r"3 images are usable, published are 5; counts differ in test 0 \(of 2\)"
    with pytest.warns(UserWarning, match=f"X at .*: {said}"):
        note = compare_counts("X", tmp_path, {"train": 3}, PUBLISHED)
    assert "train" not in note
    with pytest.raises(DatasetError, match=said + r".*data\.strict_counts"):
        compare_counts("X", tmp_path, {"train": 3}, PUBLISHED, strict=True)


def test_a_warning_names_few_parts_and_the_note_all(tmp_path: Path) -> None:
    published = {f"part{number}": 9 for number in range(21)}
    with pytest.warns(UserWarning, match=r"part2 0 \(of 9\) and 18 more\.$"):
        note = compare_counts("X", tmp_path, {}, published)
    assert "part20 0 (of 9)" in note


def test_drawn_faces_are_not_compared(tmp_path: Path) -> None:
    (tmp_path / MARKER).touch()
    note = compare_counts("X", tmp_path / "basic", {"train": 1}, PUBLISHED, strict=True)
    assert note == "1 synthetic images"
