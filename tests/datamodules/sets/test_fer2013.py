from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from datamodules.errors import DatasetError
from datamodules.labels import Expression
from datamodules.sets.fer2013 import FER2013DataModule

pytestmark = pytest.mark.filterwarnings("ignore:FER2013 at")

USAGES = ("Training", "PublicTest", "PrivateTest")
ROWS = [(code, usage) for usage in USAGES for code in range(7)]
IN_ORDER = [
    Expression.ANGER,
    Expression.DISGUST,
    Expression.FEAR,
    Expression.HAPPINESS,
    Expression.SADNESS,
    Expression.SURPRISE,
    Expression.NEUTRAL,
]


def image(row: int) -> NDArray[np.uint8]:
    return np.random.default_rng(row).integers(0, 256, (48, 48), np.uint8)


def pixels(row: int) -> str:
    return " ".join(map(str, image(row).ravel().tolist()))


def kaggle(path: Path) -> Path:
    lines = [f"{code},{pixels(row)},{usage}" for row, (code, usage) in enumerate(ROWS)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(["emotion,pixels,Usage", *lines]))
    return path.parent


def test_the_file_of_the_data_set(tmp_path: Path) -> None:
    kaggle(tmp_path / "fer2013" / "fer2013" / "fer2013.csv")
    index = FER2013DataModule().read_index(tmp_path)
    assert index.files is None
    assert index.pixels is not None
    np.testing.assert_array_equal(index.pixels, np.stack([image(row) for row in range(21)]))
    assert index.expressions.tolist() == [int(e) for e in IN_ORDER] * 3
    assert index.splits == ["train"] * 7 + ["val"] * 7 + ["test"] * 7
    assert index.names[0] == "Training_0"
    assert index.names[20] == "PrivateTest_20"
    assert "21 images are usable, published are 35887" in index.notes[0]


def test_other_columns_with_spaces_in_their_names(tmp_path: Path) -> None:
    lines = [f"{code}, {usage}, {pixels(row)}" for row, (code, usage) in enumerate(ROWS)]
    text = "\r\n".join(["emotion, Usage, pixels", *lines, ""])
    (tmp_path / "icml_face_data.csv").write_bytes(b"\xef\xbb\xbf" + text.encode())
    found = FER2013DataModule().read_index(tmp_path)
    expected = FER2013DataModule().read_index(kaggle(tmp_path / "other" / "fer2013.csv"))
    assert found.names == expected.names
    assert found.splits == expected.splits
    assert found.pixels is not None
    np.testing.assert_array_equal(found.pixels, expected.pixels)


def test_the_files_of_the_challenge_have_training_images_only(tmp_path: Path) -> None:
    lines = [f"{code},{pixels(code)}" for code in range(7)]
    (tmp_path / "train.csv").write_text("\n".join(["emotion,pixels", *lines]))
    (tmp_path / "test.csv").write_text(f"pixels\n{pixels(9)}\n")
    index = FER2013DataModule().read_index(tmp_path)
    assert index.splits == ["train"] * 7


def test_rows_that_are_wrong_are_named(tmp_path: Path) -> None:
    long = f"{pixels(0)} 7"
    rows = [
        f"0,{pixels(0)},Training",
        f"0,{long},Training",
        f"0,{pixels(0).replace('1', 'x')},Training",
        f"0,{pixels(0).replace(' 1', ' 999', 1)},Training",
        f"7,{pixels(0)},Training",
        f"0,{pixels(0)},Secret",
        f"0,{pixels(0)}",  # cut short: nobody knows which part it is of
        "",
        f"6,{pixels(1)},PublicTest",
    ]
    (tmp_path / "fer2013.csv").write_text("\n".join(["emotion,pixels,Usage", *rows]))
    index = FER2013DataModule().read_index(tmp_path)
    assert index.names == ["Training_0", "PublicTest_8"]
    assert [reason for _, reason in index.problems] == [
        "row 1 does not hold 48 x 48 pixels",
        "row 2 does not hold 48 x 48 pixels",
        "row 3 does not hold 48 x 48 pixels",
        "row 4 has the label '7', not 0 to 6",
        "row 5 has the usage 'Secret'",
        "row 6 has the usage ''",
    ]
    short = f"{pixels(0)},Training,0\n{pixels(1)}\n"
    (tmp_path / "fer2013.csv").write_text(f"pixels,Usage,emotion\n{short}")
    index = FER2013DataModule().read_index(tmp_path)
    assert index.names == ["Training_0"]
    assert [why for _, why in index.problems] == ["row 1 has the label '', not 0 to 6"]
    (tmp_path / "fer2013.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DatasetError, match=r"has the columns a, b; expected emotion, pixels"):
        FER2013DataModule().read_index(tmp_path)


def test_folders_tell_the_label_and_names_the_split(tmp_path: Path) -> None:
    words = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
    for row, (code, usage) in enumerate(ROWS):
        part = "train" if usage == "Training" else "test"
        folder = tmp_path / "archive" / part / words[code]
        folder.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / f"{usage}_{row}.png"), image(row))
    happy = tmp_path / "archive" / "train" / "happy"
    (happy / "im0.png").touch()
    (happy / "Training_0.jpg").touch()
    for folder in (happy, happy.with_name("sad")):  # as Windows leaves them
        (folder / "Thumbs.db").touch()
    index = FER2013DataModule().read_index(tmp_path)
    assert index.pixels is None
    assert len(index) == 21
    for name, expression, split in zip(
        index.names, index.expressions, index.splits or [], strict=True
    ):
        usage, _, row = name.partition("_")
        assert split == {"Training": "train", "PublicTest": "val", "PrivateTest": "test"}[usage]
        assert expression == IN_ORDER[ROWS[int(row)][0]]
    assert [path.name for path, _ in index.problems] == ["im0.png", "Training_0.jpg"]


def test_a_copy_that_names_no_split_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "train" / "happy"
    folder.mkdir(parents=True)
    (folder / "im0.png").touch()
    index = FER2013DataModule().read_index(tmp_path)
    assert len(index) == 0
    assert [reason for _, reason in index.problems] == [
        "is not named after its split, like Training_123.jpg"
    ]


def test_missing_data(tmp_path: Path) -> None:
    (tmp_path / "train" / "cats").mkdir(parents=True)
    with pytest.raises(DatasetError, match=r"(?s)holds only train.*icml_face_data\.csv.*Kaggle"):
        FER2013DataModule().read_index(tmp_path)
    with pytest.raises(DatasetError, match=r"no embedded faces: give its folder"):
        FER2013DataModule().prepare_data()


def test_batches_of_the_file(tmp_path: Path) -> None:
    root = kaggle(tmp_path / "fer2013" / "fer2013.csv")
    data = FER2013DataModule(root=str(root), cache_dir=str(tmp_path / "cache"), size=48)
    data.setup("test")
    stored = next(iter(data.test_dataloader()))
    batch = data.on_after_batch_transfer(stored, 0)
    assert batch["image"].shape == (7, 3, 48, 48)
    np.testing.assert_allclose(batch["image"][0, 1].numpy() * 255, image(14), atol=1e-3)
    assert batch["label"].tolist() == [int(e) for e in IN_ORDER]
