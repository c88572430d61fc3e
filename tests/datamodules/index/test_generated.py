"""Generated faces train, and are in no part that is validated or tested."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from datamodules.errors import DatasetError, UserError
from datamodules.folds.leak_guard import fingerprint
from datamodules.index import Index
from datamodules.index.generated import LIST, GeneratedFace, extend, read_generated, write_list
from datamodules.sets.face_folder import FaceFolderDataModule
from tests.datamodules.fake_faces import FakeFaces, face, write_faces
from tests.datamodules.runs import Recorder, trainer

ROW = GeneratedFace(
    *("", "", "a.png", "snap", "S1", "S1/001", 1.5, "warp", "", "abc", 0),
    face_content=-5,
    motion_content=7,
)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return write_faces(tmp_path / "faces", {"train": 4, "val": 2, "test": 2})


def made(folder: Path, classes: tuple[str, ...] = ("fear", "fear"), **changes: Any) -> Path:
    """Write generated faces of classes, with other values in their rows."""
    rows = []
    for number, name in enumerate(classes):
        file = f"{name}/{number}.png"
        (folder / name).mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(folder / file), face(900 + number))
        rows.append(ROW._replace(file=file, expression=name, **changes))
    write_list(folder, rows)
    return folder


def ready(tree: Path, stage: str = "fit", **kwargs: Any) -> FakeFaces:
    data = FakeFaces(root=str(tree), cache_dir=str(tree.parent / "cache"), **kwargs)
    data.prepare_data()
    data.setup(stage)
    return data


def content(file: Path) -> int:
    return fingerprint(file.read_bytes())


def test_a_list_is_read_as_it_was_written(tmp_path: Path) -> None:
    folder = made(tmp_path / "made", ("fear", "disgust"))
    first, second = read_generated(folder)
    assert first == ROW._replace(file="fear/0.png", expression="fear")
    assert second.expression == "disgust"
    # A person may look at them and delete bad ones.
    (folder / first.file).unlink()
    assert read_generated(folder) == [second]
    (folder / second.file).unlink()
    with pytest.raises(DatasetError, match=r"holds none of the 2 faces of its generated\.csv"):
        read_generated(folder)


def test_another_folder_or_a_damaged_list_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"holds no generated\.csv.* lightning generate wrote"):
        read_generated(tmp_path)
    folder = made(tmp_path / "made")
    text = (folder / LIST).read_text()
    for old, new in (("fear", "boredom"), ("-5", "five"), ("1.5", "1.5,2")):
        (folder / LIST).write_text(text.replace(old, new))
        with pytest.raises(DatasetError, match=r"Line 2 of .* make the folder again"):
            read_generated(folder)
    for header in ("", "file,class\n"):
        (folder / LIST).write_text(header)
        with pytest.raises(DatasetError, match=r"expected file, expression, face"):
            read_generated(folder)


@pytest.mark.parametrize("official", [True, False])
def test_they_train_and_are_in_no_other_part(tree: Path, official: bool) -> None:
    folds = {} if official else {"folds": 3, "official": False}
    extra = made(tree.parent / "made", ("fear", "fear", "neutral"))
    plain, data = ready(tree, **folds), ready(tree, extra=str(extra), **folds)
    assert data.split_sizes == {**plain.split_sizes, "train": plain.split_sizes["train"] + 3}
    assert data.class_counts[6] == plain.class_counts[6] + 2 == 2
    # The same folds: results with and without are compared on them.
    assert data.folds_hash == plain.folds_hash
    assert data.test_subjects == plain.test_subjects
    names = {
        part: {data.sample_name(int(row)) for row in data.dataset(part).rows}
        for part in ("train", "val", "test")
    }
    generated = {f"generated/{row.file}" for row in read_generated(extra)}
    assert generated < names["train"]
    assert not generated & (names["val"] | names["test"])
    batch = data.dataset("train").__getitems__([data.split_sizes["train"] - 1])
    np.testing.assert_allclose(
        batch["image"][0], cv2.resize(face(902), (16, 16), interpolation=cv2.INTER_AREA), atol=1
    )
    assert batch["label"].tolist() == [0]
    assert "3 generated faces" in data.description
    assert "0 images in no part" in data.description


def test_neither_limit_nor_unlabelled_images_change_them(tree: Path) -> None:
    extra = str(made(tree.parent / "made"))
    data = ready(tree, extra=extra, train_limit=4, unlabelled=True)
    assert data.split_sizes["train"] == 4 + 2
    assert data.class_counts == (2, 2, 0, 0, 0, 0, 2)


def test_a_class_that_is_not_told_apart_does_not_train(tree: Path) -> None:
    extra = str(made(tree.parent / "made", ("contempt", "fear")))
    assert ready(tree, extra=extra).split_sizes["train"] == 8 + 1
    assert ready(tree, extra=extra, expressions="all8").split_sizes["train"] == 8 + 2


def test_votes_are_all_for_the_class(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    votes = np.full((1, 8), 0.125, np.float32)
    index = Index(names=["a"], files=[file], expressions=np.zeros(1, np.int8), votes=votes)
    longer = extend(index, tmp_path, [ROW._replace(file="b.png", expression="fear")], "X")
    found = longer.class_votes("all8")
    assert found is not None
    assert found[1].tolist() == [0, 0, 0, 0, 0, 0, 1, 0]
    np.testing.assert_array_equal(found[0], votes[0])


def test_pixels_take_none(tmp_path: Path) -> None:
    pixels = np.zeros((1, 4, 4), np.uint8)
    index = Index(names=["a"], pixels=pixels, expressions=np.zeros(1, np.int8))
    with pytest.raises(UserError, match=r"FER2013 .* has pixels, .* leave data\.extra out"):
        extend(index, tmp_path, [ROW], "FER2013")


@pytest.mark.parametrize("part", ["val", "test"])
@pytest.mark.parametrize("column", ["face_content", "motion_content"])
def test_nobody_who_is_held_out_is_in_them(tree: Path, part: str, column: str) -> None:
    held_out = min((tree / part).glob("*.png"))
    extra = made(tree.parent / "made", **{column: content(held_out)})
    with pytest.raises(DatasetError, match=rf"A model of data\.extra .* in the {part} part"):
        ready(tree, extra=str(extra))
    with pytest.raises(DatasetError, match=r"on \d+ of the 4 .* Generate faces of training"):
        ready(tree, extra=str(extra), known=False)
    # Of training people they may be.
    training = min((tree / "train").glob("*.png"))
    extra = made(tree.parent / "fine", **{column: content(training)})
    ready(tree, extra=str(extra))


def test_a_checkpoint_remembers_of_whom_they_were_made(tree: Path, tmp_path: Path) -> None:
    other = write_faces(tmp_path / "other", {"train": 2, "val": 1, "test": 1}, colour=True)
    tested = min((other / "test").glob("*.png"))
    checkpoints = []
    for name, changes in (("made", {"motion_content": content(tested)}), ("fine", {})):
        extra = made(tmp_path / name, **changes)
        fit = trainer(tmp_path)
        fit.fit(Recorder("image"), datamodule=ready(tree, extra=str(extra)))
        checkpoints.append(tmp_path / f"{name}.ckpt")
        fit.save_checkpoint(checkpoints[-1])

    def test(path: Path) -> None:
        data = FakeFaces(root=str(other), cache_dir=str(tmp_path / "cache"))
        trainer(tmp_path).test(Recorder(), datamodule=data, ckpt_path=path, verbose=False)

    with pytest.raises(DatasetError, match=r"was trained on S08.* of made, who are in the test"):
        test(checkpoints[0])
    test(checkpoints[1])


def test_as_a_data_set_they_train_with_labels_and_test_nothing(tmp_path: Path) -> None:
    folder = made(tmp_path / "made", ("fear", "disgust", "fear"))
    data = FaceFolderDataModule(root=str(folder), cache_dir=str(tmp_path / "cache"), size=16)
    data.prepare_data()
    data.setup("fit")
    assert data.split_sizes == {"train": 3, "val": 0, "test": 0}
    assert data.class_counts == (0, 0, 0, 0, 0, 1, 2)
    with pytest.raises(DatasetError, match=r"no usable image of the classes .* in test"):
        data.setup("test")
    # Of any other folder with such names nobody says who they show.
    (folder / LIST).unlink()
    data = FaceFolderDataModule(root=str(folder), cache_dir=str(tmp_path / "cache"), size=16)
    data.prepare_data()
    data.setup("fit")
    assert sum(data.class_counts) == 0
