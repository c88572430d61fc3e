from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from datamodules.errors import DatasetError
from datamodules.labels import RAFDB_CODES, Expression
from datamodules.sets.rafdb import RAFDBDataModule

pytestmark = pytest.mark.filterwarnings("ignore:RAF-DB at")


def official(
    root: Path,
    codes: Sequence[int] = range(1, 8),
    end: str = "\n",
    listing: str = "list_patition_label.txt",
) -> Path:
    """Train has each code three times, test once; the list has no newline at its end."""
    train = [f"train_{n:05d}.jpg {code}" for n, code in enumerate([*codes] * 3, 1)]
    test = [f"test_{n:04d}.jpg {code}" for n, code in enumerate(codes, 1)]
    (root / "EmoLabel").mkdir(parents=True)
    (root / "EmoLabel" / listing).write_text(end.join(train + test), newline="")
    images = root / "Image" / "aligned"
    images.mkdir(parents=True)
    for number, row in enumerate(train + test):
        image = np.full((8, 8, 3), (number, 100, 200), np.uint8)
        cv2.imwrite(str(images / f"{row.partition('.')[0]}_aligned.jpg"), image)
    return root


def test_codes_and_parts(tmp_path: Path) -> None:
    index = RAFDBDataModule().read_index(official(tmp_path / "basic"))
    assert index.names[:2] == ["train_00001", "train_00002"]
    assert index.names[-1] == "test_0007"
    assert index.expressions.tolist() == [RAFDB_CODES[code] for code in [*range(1, 8)] * 4]
    assert index.expressions[0] == Expression.SURPRISE
    assert index.splits == ["train"] * 21 + ["test"] * 7
    assert index.subjects is None
    assert [path.name for path in index.files or []][-1] == "test_0007_aligned.jpg"
    assert (index.problems, index.subsets) == ([], {})
    assert "28 images are usable, published are 15339" in index.notes[0]


@pytest.mark.parametrize("place", ["", "basic", "raf-basic", "RAF-DB/basic"])
def test_roots_and_wrappers(tmp_path: Path, place: str) -> None:
    official(tmp_path / place)
    assert len(RAFDBDataModule().read_index(tmp_path)) == 28


def test_other_line_ends_and_the_right_spelling(tmp_path: Path) -> None:
    root = official(tmp_path, end="\r\n", listing="list_partition_label.txt")
    listing = root / "EmoLabel" / "list_partition_label.txt"
    listing.write_bytes(b"\xef\xbb\xbf" + listing.read_bytes() + b"\r\n\r\n")
    for junk in (".DS_Store", "Thumbs.db", "._train_00001_aligned.jpg", "readme.txt"):
        (root / "Image" / "aligned" / junk).touch()
    index = RAFDBDataModule().read_index(root)
    assert len(index) == 28
    assert index.problems == []


def test_an_archive_in_a_folder_of_its_name(tmp_path: Path) -> None:
    root = official(tmp_path)
    (root / "Image" / "aligned").rename(root / "Image" / "x")
    (root / "Image" / "aligned").mkdir()
    (root / "Image" / "x").rename(root / "Image" / "aligned" / "aligned")
    assert len(RAFDBDataModule().read_index(root)) == 28


def test_everything_wrong_is_named(tmp_path: Path) -> None:
    root = official(tmp_path)
    images = root / "Image" / "aligned"
    (images / "train_00002_aligned.jpg").unlink()
    shutil.copy(images / "train_00003_aligned.jpg", images / "test_0099_aligned.jpg")
    listing = root / "EmoLabel" / "list_patition_label.txt"
    listing.write_text(listing.read_text() + "\ntrain_00001.jpg 4\ntest_0099.jpg 8\nwhat\n")
    index = RAFDBDataModule().read_index(root)
    assert len(index) == 27
    assert [(path.name, reason) for path, reason in index.problems] == [
        (listing.name, "line 29 contradicts an earlier one of train_00001"),
        (listing.name, "line 31 is 'what', not an image and a label 1 to 7"),
        ("train_00002_aligned.jpg", "is in the list but not there"),
        (listing.name, "gives test_0099 the label 8, not 1 to 7"),
    ]
    assert index.expressions[0] == Expression.SURPRISE


def test_the_copy_with_a_folder_for_each_label(tmp_path: Path) -> None:
    source = RAFDBDataModule().read_index(official(tmp_path / "source"))
    for name, path, split, expression in zip(
        source.names, source.files or [], source.splits or [], source.expressions, strict=True
    ):
        code = {e: c for c, e in RAFDB_CODES.items()}[Expression(int(expression))]
        folder = tmp_path / "kaggle" / "DATASET" / split / str(code)
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, folder / f"{name}_aligned.jpg")
    wrong = tmp_path / "kaggle" / "DATASET" / "train" / "2"
    shutil.copy(wrong / "train_00002_aligned.jpg", wrong.parent / "3")
    shutil.copy(wrong / "train_00002_aligned.jpg", wrong / "test_0050_aligned.jpg")
    (tmp_path / "kaggle" / "train_labels.csv").write_text("image,label\n")
    index = RAFDBDataModule().read_index(tmp_path / "kaggle")
    kept = [row for row, name in enumerate(source.names) if name != "train_00002"]
    assert index.names == [source.names[row] for row in kept]  # an image of two labels has none
    assert index.expressions.tolist() == source.expressions[kept].tolist()
    assert index.splits == ["train"] * 20 + ["test"] * 7
    assert sorted((path.parent.name, path.name) for path, _ in index.problems) == [
        ("2", "test_0050_aligned.jpg"),
        ("3", "train_00002_aligned.jpg"),
    ]


def test_compound_expressions_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"compound is RAF-DB's set of compound expressions"):
        RAFDBDataModule().read_index(official(tmp_path / "compound"))
    official(tmp_path / "raf-basic")  # comes after it
    assert "raf-basic" in str((RAFDBDataModule().read_index(tmp_path).files or [])[0])
    other = tmp_path / "other" / "EmoLabel"
    other.mkdir(parents=True)
    (other / "list_patition_label.txt").write_text("train_0001.jpg 11\ntest_001.jpg 3\n")
    (tmp_path / "other" / "Image" / "aligned").mkdir(parents=True)
    with pytest.raises(DatasetError, match=r"no list of RAF-DB's set basic"):
        RAFDBDataModule().read_index(tmp_path / "other")


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"(?s)is empty.*list_patition_label.*whdeng\.cn"):
        RAFDBDataModule().read_index(tmp_path)
    root = official(tmp_path / "basic")
    shutil.rmtree(root / "Image")
    with pytest.raises(DatasetError, match=r"no folder Image/aligned; unpack aligned\.zip"):
        RAFDBDataModule().read_index(root)
    (root / "EmoLabel" / "list_patition_label.txt").unlink()
    with pytest.raises(DatasetError, match=r"EmoLabel holds no list_patition_label\.txt"):
        RAFDBDataModule().read_index(root)


def test_data_module_with_lists(tmp_path: Path) -> None:
    root = official(tmp_path / "basic")
    place = tmp_path / "lists" / "RAF_DB_dir"
    place.mkdir(parents=True)
    (place / "rafdb_occlusion_list.txt").write_text("test_0001_aligned 0 2")
    (place / "val_raf_db_list.txt").write_text("3/test_0004_aligned.jpg\n")
    (place / "val_raf_db_list_45.txt").write_text("3/test_0004_aligned.jpg\n")
    data = RAFDBDataModule(
        root=str(root),
        lists=str(tmp_path / "lists"),
        cache_dir=str(tmp_path / "cache"),
        size=8,
        val_share=0.34,
    )
    data.setup("fit")
    data.setup("test")
    assert data.split_sizes == {"train": 14, "val": 7, "test": 7}
    assert data.subset_names[:3] == ("occlusion", "pose30", "pose45")
    batch = next(iter(data.test_dataloader()))
    assert batch["label"].tolist() == [RAFDB_CODES[code] for code in range(1, 8)]
    assert batch["subsets"][:, 0].tolist() == [True] + [False] * 6
    assert batch["subsets"][:, 1].nonzero().flatten().tolist() == [3]
    with pytest.raises(DatasetError, match=r"data\.strict_counts"):
        RAFDBDataModule(root=str(root), strict_counts=True).setup("fit")


def test_groups_of_people_are_read_where_they_are_annotated(tmp_path: Path) -> None:
    root = official(tmp_path / "basic")
    data = RAFDBDataModule(root=str(tmp_path), cache_dir=str(tmp_path / "cache"), size=8)
    assert data.groups([]) == {}
    notes = root / "Annotation" / "manual"
    notes.mkdir(parents=True)
    points = "".join(f"{n}.5\t{n} \n" for n in range(5))
    for name, codes in (("train_00001", "1\n0\n2\n"), ("train_00003", "2\r\n1\r\n9"), ("x", "0")):
        (notes / f"{name}_manu_attri.txt").write_text(points + codes)
    (notes / "train_00004_manu_attri.txt").write_text(points)
    assert data.groups([0, 1, 2, 3]) == {
        "gender": ["female", "", "unsure", ""],
        "race": ["Caucasian", "", "African-American", ""],
        "age": ["20-39", "", "", ""],
    }
