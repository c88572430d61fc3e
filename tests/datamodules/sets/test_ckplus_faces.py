from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from datamodules.errors import BadSample, DatasetError
from datamodules.folds.assignment import assign
from datamodules.labels import ACTION_UNITS, Expression
from datamodules.sets.ckplus import CKPlusDataModule
from datamodules.sets.ckplus_faces import CKPlusFacesDataModule, read_facs
from tests.datamodules.trees import ckplus_tree

pytestmark = pytest.mark.filterwarnings("ignore:CK")

HAPPY = {6: 3.0, 12: 0.0, 62: 1.0}  # 0 is present; 62 is none of ours
SURPRISE = {1: 2.0, 27: 4.0}


def write_facs(root: Path, subject: int, number: int, frames: int, units: dict[int, float]) -> Path:
    place = root / "FACS" / f"S{subject:03d}" / f"{number:03d}"
    place.mkdir(parents=True)
    path = place / f"S{subject:03d}_{number:03d}_{frames:08d}_facs.txt"
    path.write_text("".join(f"   {unit:.7e}   {level:.7e}\n" for unit, level in units.items()))
    return path


def coded_tree(
    root: Path, subjects: int = 3, codes: Sequence[int | None] = (5, 7, None), frames: int = 5
) -> Path:
    ckplus_tree(root, subjects, codes, frames)
    for subject in range(1, subjects + 1):
        for number, units in enumerate((HAPPY, SURPRISE, {9: 1.0}), start=1):
            write_facs(root, subject, number, frames, units)
    return root


def vector(*units: int) -> list[int]:
    return [int(unit in units) for unit in ACTION_UNITS]


def test_last_frames_first_frames_and_units(tmp_path: Path) -> None:
    index = CKPlusFacesDataModule().read_index(coded_tree(tmp_path, subjects=1))
    assert index.names == [
        *("S001/001:1", "S001/001:3", "S001/001:4", "S001/001:5"),
        *("S001/002:1", "S001/002:3", "S001/002:4", "S001/002:5"),
        *("S001/003:3", "S001/003:4", "S001/003:5"),
    ]
    happy, surprise = int(Expression.HAPPINESS), int(Expression.SURPRISE)
    assert index.expressions.tolist() == [0, *[happy] * 3, 0, *[surprise] * 3, -1, -1, -1]
    assert [path.name for path in index.files or []][3] == "S001_001_00000005.png"
    assert set(index.subjects or []) == {"S001"}
    assert index.splits is None
    assert index.action_units is not None
    assert index.action_units[0].tolist() == vector()
    assert index.action_units[1].tolist() == vector(6, 12)
    assert index.action_units[7].tolist() == vector(1, 27)
    assert index.action_units[8].tolist() == vector(9)
    assert index.problems == []
    assert "sequences with action units but no expression: 1" in index.notes


def test_the_apex_alone_is_the_sample_that_the_flow_is(tmp_path: Path) -> None:
    root = coded_tree(tmp_path, subjects=6)
    indices = [
        CKPlusFacesDataModule(last_k=1, first_as_neutral=False).read_index(root),
        CKPlusDataModule().read_index(root),
    ]
    samples = []
    for index in indices:
        classes = index.classes("ck7")
        split = assign(index, classes, fold=1, folds=None, fold_mode="stratified", seed=0)
        samples.append([[index.names[row] for row in part] for part in split.parts])
    assert samples[0] == samples[1]
    assert [path.name for path in (indices[0].files or [])[:1]] == ["S001_001_00000005.png"]
    # One without an expression is no flow: it has the name of its frame.
    assert indices[0].names[-1] == "S006/003:5"
    assert indices[0].names[:-6] == indices[1].names


def test_which_frames_are_taken(tmp_path: Path) -> None:
    root = coded_tree(tmp_path, subjects=1, frames=3)
    index = CKPlusFacesDataModule(last_k=5, first_as_neutral=False).read_index(root)
    assert index.names[:2] == ["S001/001:2", "S001/001:3"]  # the first is never the peak
    assert Expression.NEUTRAL not in index.expressions
    with pytest.raises(ValueError, match=r"data\.last_k must be at least 1, but is 0"):
        CKPlusFacesDataModule(last_k=0)


def test_without_facs_there_are_no_units(tmp_path: Path) -> None:
    root = coded_tree(tmp_path, subjects=1)
    shutil.rmtree(root / "FACS")
    index = CKPlusFacesDataModule().read_index(root)
    assert index.action_units is None
    assert len(index) == 8


def test_everything_wrong_is_named(tmp_path: Path) -> None:
    root = coded_tree(tmp_path, subjects=2)
    images = root / "cohn-kanade-images"
    shutil.rmtree(root / "FACS" / "S001" / "001")
    next((root / "FACS" / "S001" / "002").iterdir()).write_text("1 2 3\n")
    shutil.rmtree(images / "S001" / "003")
    (root / "FACS" / "S002" / ".DS_Store").touch()
    index = CKPlusFacesDataModule().read_index(root)
    assert len(index) == 11
    assert [(path.name, reason) for path, reason in index.problems] == [
        ("001", "has no file of action units in FACS"),
        ("S001_002_00000005_facs.txt", "line 1 is not a unit and an intensity"),
        (
            "S001_003_00000005_facs.txt",
            f"codes a sequence with 0 frame(s) in {images / 'S001' / '003'}",
        ),
    ]


def test_a_list_replaces_the_labels(tmp_path: Path) -> None:
    root = coded_tree(tmp_path / "ck", subjects=1)
    listing = tmp_path / "list.csv"
    listing.write_text("subject;file;emotion\nS001;003;5\nS001;001;0\n")
    index = CKPlusFacesDataModule(labels_csv=str(listing), last_k=1).read_index(root)
    labels = dict(zip(index.names, index.expressions.tolist(), strict=True))
    assert labels == {
        "S001/003:1": Expression.NEUTRAL,
        "S001/003:5": Expression.DISGUST,
        "S001/001:5": -1,
        "S001/002:5": -1,
    }


def test_folds_units_and_unlabelled_faces_of_the_data_module(tmp_path: Path) -> None:
    root = coded_tree(tmp_path / "ck")
    arguments = {"root": str(root), "cache_dir": str(tmp_path / "cache"), "size": 8}
    data = CKPlusFacesDataModule(**arguments)
    data.setup("fit")
    assert data.num_folds == 3
    assert data.split_sizes == {"train": 8, "val": 8, "test": 8}
    assert not set(data.train_subjects) & set(data.test_subjects)
    batch = next(iter(data.test_dataloader()))
    assert batch["action_units"].shape == (8, len(ACTION_UNITS))
    more = CKPlusFacesDataModule(**arguments, unlabelled=True)
    more.setup("fit")
    assert more.split_sizes == {"train": 11, "val": 8, "test": 8}
    labels = next(iter(more.train_dataloader()))["label"].tolist()
    assert Counter(labels)[-1] == 3


def test_the_small_copy(tmp_path: Path) -> None:
    words = ("anger", "contempt", "disgust", "fear", "happy", "sadness", "surprise")
    for word in words:
        folder = tmp_path / "archive" / "CK+48" / word
        folder.mkdir(parents=True)
        for person in (10, 11):
            name = f"S{person:03d}_004_{17 + words.index(word):08d}.png"
            cv2.imwrite(str(folder / name), np.full((48, 48), person, np.uint8))
        (folder / ".DS_Store").touch()
    index = CKPlusFacesDataModule().read_index(tmp_path)
    assert len(index) == 14
    assert index.names[:2] == ["S010/004:17", "S011/004:17"]
    assert set(index.subjects or []) == {"S010", "S011"}
    assert index.expressions[2] == Expression.CONTEMPT
    assert index.action_units is None
    assert "anger 2 (of 135)" in index.notes[0]


def test_missing_data(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"(?s)is empty.*cohn-kanade-images.*CK\+48.*jeffcohn"):
        CKPlusFacesDataModule().read_index(tmp_path)


def test_action_units_need_no_expression(tmp_path: Path) -> None:
    root = coded_tree(tmp_path / "ck")
    arguments = {"root": str(root), "cache_dir": str(tmp_path / "cache"), "size": 8}
    data = CKPlusFacesDataModule(**arguments, annotated="action_units")
    data.setup("fit")
    assert data.split_sizes == {"train": 11, "val": 11, "test": 11}
    assert sum(data.class_counts) == 8
    assert not set(data.train_subjects) & set(data.test_subjects)
    columns = data.annotations("test")
    coded = columns["action_units"][columns["label"] == -1]
    assert coded.tolist() == [vector(9)] * 3
    (protocol,) = (tmp_path / "cache").rglob("protocol_*.csv")
    assert protocol.read_text().count("none") == 9


def test_expressions_that_only_some_coded_faces_have_are_not_needed(tmp_path: Path) -> None:
    root = coded_tree(tmp_path / "ck", codes=(None, None, None))
    arguments = {"root": str(root), "cache_dir": str(tmp_path / "cache"), "size": 8}
    data = CKPlusFacesDataModule(**arguments, annotated="action_units")
    data.setup("fit")
    assert data.split_sizes == {"train": 9, "val": 9, "test": 9}
    assert sum(len(batch["label"]) for batch in data.val_dataloader()) == 9


def test_action_units_that_are_not_there_are_not_invented(tmp_path: Path) -> None:
    root = coded_tree(tmp_path / "ck")
    shutil.rmtree(root / "FACS")
    data = CKPlusFacesDataModule(
        root=str(root), cache_dir=str(tmp_path / "cache"), size=8, annotated="action_units"
    )
    with pytest.raises(DatasetError, match="no action units of its own: leave data"):
        data.setup("fit")


def test_intensity_zero_is_present(tmp_path: Path) -> None:
    path = tmp_path / "S005_001_00000011_facs.txt"
    path.write_bytes(
        b"   9.0000000e+00   5.0000000e+00\r\n   1.2000000e+01   0.0000000e+00\n\n"
        b"   6.2000000e+01   2.0000000e+00"
    )
    units = read_facs(path)
    assert units == {9: 5.0, 12: 0.0, 62: 2.0}


def test_no_line_is_no_unit(tmp_path: Path) -> None:
    (tmp_path / "empty.txt").touch()
    assert read_facs(tmp_path / "empty.txt") == {}


@pytest.mark.parametrize("text", ["9.0", "9.0 a", "9 5 1"])
def test_other_lines_are_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.txt"
    path.write_text(f"1.0 2.0\n{text}\n")
    with pytest.raises(BadSample, match="line 2 is not a unit and an intensity"):
        read_facs(path)
    with pytest.raises(BadSample, match="No such file"):
        read_facs(tmp_path / "missing.txt")
