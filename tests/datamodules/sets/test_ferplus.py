from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from datamodules.errors import DatasetError
from datamodules.labels import Expression
from datamodules.sets.ferplus import FERPlusDataModule

pytestmark = pytest.mark.filterwarnings("ignore:FERPlus at")

HEADER = (
    "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"
)
HALF = (5, 0, 0, 5, 0, 0, 0, 0, 0, 0)
NOBODY = (0, 0, 0, 0, 0, 0, 0, 0, 6, 4)
NO_FACE = (0, 0, 0, 0, 0, 0, 0, 0, 0, 10)

Rows = Sequence[tuple[str, Sequence[int]]]


def clear(expression: int, votes: int = 8) -> tuple[int, ...]:
    row = [0] * 10
    row[expression], row[(expression + 1) % 8] = votes, 10 - votes
    return tuple(row)


TRAIN = [(f"fer{n:07d}", clear(n % 8)) for n in range(16)]
VALID = [(f"fer{n:07d}", clear(n % 8)) for n in range(100, 108)]
TEST = [(f"fer{n:07d}", clear(n % 8)) for n in range(200, 208)]
PARTS: dict[str, Rows] = {"Train": TRAIN, "Valid": VALID, "Test": TEST}


def tree(root: Path, parts: Mapping[str, Rows] = PARTS, data: str = "data") -> Path:
    for number, (part, rows) in enumerate(parts.items()):
        folder = root / data / f"FER2013{part}"
        folder.mkdir(parents=True)
        lines = [f'{name}.png,"(0, 0, 48, 48)",{",".join(map(str, v))}' for name, v in rows]
        (folder / "label.csv").write_bytes("\r\n".join(lines).encode())
        for shade, (name, _) in enumerate(rows):
            image = np.full((8, 8), 60 * number + shade, np.uint8)
            cv2.imwrite(str(folder / f"{name}.png"), image)
    return root


def table(path: Path, rows: Sequence[tuple[str, str, Sequence[int]]]) -> None:
    lines = [f"{usage},{name},{','.join(map(str, votes))}" for usage, name, votes in rows]
    path.write_text("\n".join([HEADER, *lines]) + "\n")


@pytest.mark.parametrize("data", ["data", "", "FERPlus/data", "x/FERPlus/data"])
def test_parts_labels_and_votes(tmp_path: Path, data: str) -> None:
    index = FERPlusDataModule().read_index(tree(tmp_path, data=data))
    assert index.names == [name for rows in PARTS.values() for name, _ in rows]
    assert index.splits == ["train"] * 16 + ["val"] * 8 + ["test"] * 8
    assert index.expressions.tolist() == [int(name[3:]) % 8 for name in index.names]
    assert index.votes is not None
    assert index.votes[0].tolist() == pytest.approx([0.8, 0.2, 0, 0, 0, 0, 0, 0])
    np.testing.assert_allclose(index.votes.sum(axis=1), 1, atol=1e-6)
    assert index.problems == []
    assert "train, majority of label.csv: 16 kept, 0 dropped, 0 tied" in index.notes


def test_rows_that_a_rule_drops_are_counted(tmp_path: Path) -> None:
    odd = [*TRAIN, ("fer0000016", HALF), ("fer0000017", NOBODY), ("fer0000018", (1,) * 10)]
    nine = (0, 6, 0, 0, 0, 0, 0, 3, 0, 0)
    root = tree(tmp_path, {**PARTS, "Train": [*odd, ("fer0000019", nine)]})
    index = FERPlusDataModule().read_index(root)
    assert "train, majority of label.csv: 17 kept, 3 dropped, 1 tied" in index.notes
    assert "FER2013Train: 1 rows with other than 10 votes" in index.notes
    assert index.expressions[index.names.index("fer0000019")] == Expression.HAPPINESS
    soft = FERPlusDataModule(rule="soft").read_index(root)
    assert "train, soft of label.csv: 19 kept, 1 dropped, 2 tied" in soft.notes
    with pytest.raises(ValueError, match=r"data\.rule must be one of majority"):
        FERPlusDataModule(rule="mean").read_index(root)  # type: ignore[arg-type]


def test_images_without_votes_and_votes_without_images(tmp_path: Path) -> None:
    root = tree(tmp_path)
    folder = root / "data" / "FER2013Train"
    (folder / "fer0000003.png").rename(folder / "fer0000099.png")
    (folder / "fer0000004.png").rename(folder / "fer0000004.PNG")
    (folder / ".DS_Store").touch()
    labels = (folder / "label.csv").read_text()
    (folder / "label.csv").write_text(labels + '\nfer0000050.png,"(0, 0, 48, 48)",1,2\n')
    index = FERPlusDataModule().read_index(root)
    assert "fer0000003" not in index.names
    assert folder / "fer0000004.PNG" in (index.files or ())
    assert [(path.name, reason) for path, reason in index.problems] == [
        ("label.csv", "line 17 does not hold a name, a box and 10 counts"),
        ("fer0000003.png", "has votes but is not there"),
    ]


def test_the_other_file_of_votes(tmp_path: Path) -> None:
    root = tree(tmp_path)
    rows = [("Training", f"{name}.png", votes) for name, votes in TRAIN]
    rows[2] = ("Training", "fer0000002.png", clear(Expression.FEAR))
    rows.insert(5, ("Training", "", NO_FACE))
    rows.append(("Training", "fer0000004.png", NO_FACE))  # the name again: the later row counts
    rows += [("PublicTest", f"{name}.png", votes) for name, votes in VALID]
    rows += [("PrivateTest", f"{name}.png", votes) for name, votes in TEST]
    table(root / "fer2013new.csv", rows)
    index = FERPlusDataModule(votes_file="fer2013new.csv").read_index(root)
    assert index.expressions[2] == Expression.FEAR
    assert FERPlusDataModule().read_index(root).expressions[2] == Expression.SURPRISE
    assert "fer0000004" not in index.names
    assert len(index) == 31
    assert index.problems == []
    assert "FER2013Train: 1 rows without a name" in index.notes
    assert "FER2013Train: 1 rows of a name that comes again later" in index.notes
    (root / "fer2013new.csv").write_text(HEADER + "\nSecret,a.png,1,2\n")
    with pytest.raises(DatasetError, match=r"Line 2 of .*fer2013new\.csv does not hold"):
        FERPlusDataModule(votes_file="fer2013new.csv").read_index(root)
    (root / "fer2013new.csv").write_text("emotion,pixels\n")
    with pytest.raises(DatasetError, match=r"does not begin with the columns Usage, Image name"):
        FERPlusDataModule(votes_file="fer2013new.csv").read_index(root)
    (root / "fer2013new.csv").unlink()
    with pytest.raises(DatasetError, match=r"fer2013new\.csv cannot be read"):
        FERPlusDataModule(votes_file="fer2013new.csv").read_index(root)


def test_known_bad_images_stay_unless_asked(tmp_path: Path) -> None:
    root = tree(tmp_path, {**PARTS, "Test": [*TEST, ("fer0033120", clear(0))]})
    assert "fer0033120" in FERPlusDataModule().read_index(root).names
    index = FERPlusDataModule(drop_known_bad=True).read_index(root)
    assert "fer0033120" not in index.names
    assert "FER2013Test: 1 images known to be no faces left out" in index.notes


def test_no_test_images_is_no_error_to_train(tmp_path: Path) -> None:
    root = tree(tmp_path, {"Train": TRAIN, "Valid": VALID})
    index = FERPlusDataModule().read_index(root)
    assert set(index.splits or []) == {"train", "val"}
    assert "FER2013Test is not there, so the part test is empty" in index.notes
    data = module(root, tmp_path)
    data.setup("fit")
    assert data.split_sizes == {"train": 16, "val": 8, "test": 0}
    with pytest.raises(DatasetError, match=r"in test"):
        data.setup("test")


def test_validation_on_a_part_of_train(tmp_path: Path) -> None:
    root = tree(tmp_path)
    index = FERPlusDataModule(validation="train").read_index(root)
    assert index.splits == ["train"] * 16 + ["test"] * 8
    assert index.names[-1] == "fer0000107"
    assert any("8 official Test images are not used" in note for note in index.notes)
    data = module(root, tmp_path, validation="train", val_share=0.5)
    data.setup("fit")
    assert data.split_sizes == {"train": 8, "val": 8, "test": 8}
    names = {data.sample_name(i) for i in next(iter(data.test_dataloader()))["sample_id"].tolist()}
    assert names == {name for name, _ in VALID}


def test_batches_have_votes_and_lists(tmp_path: Path) -> None:
    root = tree(tmp_path)
    place = root / "lists" / "FERplus_dir"
    place.mkdir(parents=True)
    (place / "jianfei_occlusion_list.txt").write_text("2_fer0000202.png 8 0")
    for degrees in (30, 45):
        (place / f"pose_{degrees}_ferplus_list.txt").write_text("7/fer0000207.jpg\n")
    data = module(root, tmp_path)
    data.setup("test")
    batch = next(iter(data.test_dataloader()))
    assert batch["votes"].shape == (8, 8)
    assert batch["votes"][1, 1].item() == pytest.approx(0.8)
    assert batch["label"].tolist() == list(range(8))
    assert data.subset_names[:3] == ("occlusion", "pose30", "pose45")
    assert batch["subsets"][:, :2].nonzero().tolist() == [[2, 0], [7, 1]]


def test_missing_data(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"(?s)is empty.*FER2013Train.*generate_training_data"):
        FERPlusDataModule().read_index(tmp_path)
    (tree(tmp_path) / "data" / "FER2013Valid" / "label.csv").unlink()
    with pytest.raises(DatasetError, match=r"FER2013Valid/label\.csv cannot be read"):
        FERPlusDataModule().read_index(tmp_path)


def module(root: Path, folder: Path, **kwargs: object) -> FERPlusDataModule:
    arguments = {"cache_dir": str(folder / "cache"), "size": 8, "expressions": "all8"}
    return FERPlusDataModule(root=str(root), **{**arguments, **kwargs})  # type: ignore[arg-type]
