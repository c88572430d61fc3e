"""Label files and lists that are shifted, contradictory, of other formats, or only a little odd."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from datamodules import (
    CKPlusDataModule,
    CKPlusFacesDataModule,
    FER2013DataModule,
    FERPlusDataModule,
    RAFDBDataModule,
    SNaP2DFeDataModule,
)
from datamodules.errors import DatasetError
from datamodules.index import Index
from datamodules.labels import Expression
from datamodules.sets.lists.challenge_lists import read_challenge_lists
from tests.datamodules.test_nasty_trees import ck48, faces, fer2013, ferplus, rafdb, rafdb_folders
from tests.datamodules.trees import ckplus_tree, snap_tree

pytestmark = pytest.mark.filterwarnings("ignore:.* are usable, published are")

LISTING = Path("basic/EmoLabel/list_patition_label.txt")
PIXELS = " ".join(["7"] * 48 * 48)
VOTES = '"(0, 0, 48, 48)",0,10,0,0,0,0,0,0,0,0'


def reasons(index: Index) -> str:
    return "; ".join(reason for _, reason in index.problems)


# ---- all labels counted from another number


def test_a_shifted_list_of_rafdb_is_refused(tmp_path: Path) -> None:
    listing = rafdb(tmp_path) / LISTING
    lines = [line.split() for line in listing.read_text().splitlines()]
    listing.write_text("\n".join(f"{name} {int(code) - 1}" for name, code in lines))
    with pytest.raises(DatasetError, match=r"has the labels 0 to 6, but expected are 1 to 7"):
        RAFDBDataModule(on_bad_sample="skip").read_index(tmp_path)


def test_shifted_folders_of_rafdb_are_refused(tmp_path: Path) -> None:
    rafdb_folders(tmp_path)
    for code in range(1, 8):
        for part in ("train", "test"):
            folder = tmp_path / "DATASET" / part
            (folder / str(code)).rename(folder / str(code - 1))
    with pytest.raises(DatasetError, match=r"has the labels 0 to 6, but expected are 1 to 7"):
        RAFDBDataModule(on_bad_sample="skip").read_index(tmp_path)


def test_a_shifted_table_of_fer2013_is_refused(tmp_path: Path) -> None:
    rows = [f"{code},{PIXELS},Training" for code in range(1, 8)]
    (tmp_path / "fer2013.csv").write_text("\n".join(["emotion,pixels,Usage", *rows]))
    with pytest.raises(DatasetError, match=r"has the labels 1 to 7, but expected are 0 to 6"):
        FER2013DataModule(on_bad_sample="skip").read_index(tmp_path)


def test_shifted_labels_of_ckplus_are_refused(tmp_path: Path) -> None:
    ckplus_tree(tmp_path, subjects=1, codes=(2, 5, 8))
    with pytest.raises(DatasetError, match=r"has the labels 2 to 8, but expected are 1 to 7"):
        CKPlusDataModule(on_bad_sample="skip").read_index(tmp_path)


def test_shifted_labels_of_a_list_are_refused(tmp_path: Path) -> None:
    snap_tree(tmp_path, subjects=1, codes=(1, 5, 7))
    with pytest.raises(DatasetError, match=r"has the labels 1 to 7, but expected are 0 to 6"):
        SNaP2DFeDataModule(on_bad_sample="skip").read_index(tmp_path)


# ---- single labels that are none


@pytest.mark.parametrize("text", ["3.5", "5 6", "inf", "nan", "", "five"])
def test_label_files_of_ckplus_hold_one_whole_number(tmp_path: Path, text: str) -> None:
    root = ckplus_tree(tmp_path, subjects=1)
    next(root.rglob("*_emotion.txt")).write_text(text)
    index = CKPlusDataModule().read_index(root)
    assert len(index) == 1
    assert reasons(index) == "holds no label from 0 to 7, and nothing else"


def test_a_byte_order_mark_is_no_label(tmp_path: Path) -> None:
    root = ckplus_tree(tmp_path, subjects=1)
    next(root.rglob("*_emotion.txt")).write_text("\ufeff5.0", "utf-8")
    index = CKPlusDataModule().read_index(root)
    assert (len(index), reasons(index)) == (2, "")


@pytest.mark.parametrize("vote", ["-3", "inf", "9" * 40, "2.5", ""])
def test_votes_are_counts(tmp_path: Path, vote: str) -> None:
    folder = ferplus(tmp_path) / "data" / "FER2013Train"
    row = f'fer0000000.png,"(0, 0, 48, 48)",{vote},10,0,0,0,0,0,0,0,0\nfer0000001.png,{VOTES}'
    (folder / "label.csv").write_text(row)
    index = FERPlusDataModule().read_index(tmp_path)
    assert "fer0000000" not in index.names
    assert reasons(index) == "line 1 does not hold a name, a box and 10 counts"


def test_an_archive_that_is_called_a_table_is_a_short_sentence(tmp_path: Path) -> None:
    data = np.random.default_rng(0).integers(0, 256, 100_000, dtype=np.uint8).tobytes()
    for content in (data, b"\x00" * 200_000, b"a" * 200_000, b"fer2013/\x1b[31m\n1"):
        (tmp_path / "fer2013.csv").write_bytes(content)
        with pytest.raises(DatasetError, match=r"cannot be read|has the columns") as error:
            FER2013DataModule(on_bad_sample="skip").read_index(tmp_path)
        assert str(error.value).isprintable()
        assert len(str(error.value).encode()) < 1_000


def test_an_empty_challenge_list_is_refused(tmp_path: Path) -> None:
    for name in ("rafdb_occlusion_list.txt", "val_raf_db_list.txt", "val_raf_db_list_45.txt"):
        (tmp_path / name).write_text("\n\n")
    with pytest.raises(DatasetError, match="has no rows"):
        read_challenge_lists("RAF-DB", tmp_path, tmp_path, ["test_0001"], np.zeros(1, np.int8))


# ---- rows of one name


def test_contradicting_rows_of_a_list_are_named(tmp_path: Path) -> None:
    root = ckplus_tree(tmp_path / "in", subjects=1)
    table = tmp_path / "labels.csv"
    table.write_text("S001;001;1\nS001;002;6\nS001;1;1\nS001;002;3\n")
    index = CKPlusDataModule(labels_csv=str(table)).read_index(root)
    assert reasons(index) == "contradicts line 2"


def test_a_repeated_equal_line_is_no_problem_and_another_label_is(tmp_path: Path) -> None:
    listing = rafdb(tmp_path) / LISTING
    first = listing.read_text().splitlines()[0]
    listing.write_text(f"{listing.read_text()}\n{first}")
    assert not RAFDBDataModule().read_index(tmp_path).problems
    listing.write_text(f"{listing.read_text()}\n{first.split()[0]} 7")
    assert "contradicts" in reasons(RAFDBDataModule().read_index(tmp_path))


# ---- copies that were renamed and cut up


def test_folders_are_read_by_any_usual_word(tmp_path: Path) -> None:
    root = fer2013(tmp_path)
    for part in ("train", "test"):
        (root / part / "happy").rename(root / part / "Happiness")
        (root / part / "angry").rename(root / part / "anger")
    index = FER2013DataModule().read_index(root)
    assert len(index) == 14
    assert {Expression.HAPPINESS, Expression.ANGER} <= set(index.expressions.tolist())
    faces(
        root / "train" / "contempt" / "Training_99.jpg", root / "val" / "sad" / "PublicTest_1.png"
    )
    index = FER2013DataModule().read_index(root)
    assert len(index) == 15
    assert reasons(index) == "is in a folder contempt, no class of FER2013"


def test_ck48_is_read_whole_with_neutral_and_however_cut(tmp_path: Path) -> None:
    whole = ck48(tmp_path / "whole")
    faces(whole / "CK+48" / "neutral" / "S010_001_00000001.png")
    index = CKPlusFacesDataModule().read_index(whole)
    assert Expression.NEUTRAL in index.expressions
    assert "published" in index.notes[-1]
    assert "each count as published" not in index.notes[-1]
    for number, folder in enumerate(sorted((whole / "CK+48").iterdir())):
        place = tmp_path / "cut" / "CK+48" / ("train", "test")[number % 2]
        shutil.copytree(folder, place / folder.name)
    assert sorted(CKPlusFacesDataModule().read_index(tmp_path / "cut").names) == sorted(index.names)


def test_the_validation_folder_of_a_copy_of_rafdb_validates(tmp_path: Path) -> None:
    rafdb_folders(tmp_path)
    faces(tmp_path / "DATASET" / "val" / "3" / "train_00077_aligned.jpg")
    index = RAFDBDataModule().read_index(tmp_path)
    assert (index.splits or [])[index.names.index("train_00077")] == "val"
    assert not index.problems


# ---- what a person would shrug at


@pytest.mark.parametrize(
    ("make", "data", "stray"),
    [
        (ferplus, FERPlusDataModule, "data/FER2013Train/fer0000000 (1).png"),
        (rafdb, RAFDBDataModule, "basic/Image/aligned/train_00099_aligned.jpg"),
        (snap_tree, SNaP2DFeDataModule, "SNAPcam1/S001/009/img_001.png"),
    ],
)
def test_a_stray_picture_is_named_and_refuses_nothing(
    tmp_path: Path, make: object, data: type, stray: str
) -> None:
    root = make(tmp_path)  # type: ignore[operator]
    faces(root / stray)
    if "SNAPcam1" in stray:
        faces(root / stray.replace("SNAPcam1", "SNAPcam2"))
    index = data().read_index(root)
    assert not index.problems
    assert str(Path(stray).parent) in (index.name_unread(root) or "")
