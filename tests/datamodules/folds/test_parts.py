from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datamodules.errors import BadSample, DatasetError
from datamodules.folds.assignment import Assignment, Split
from datamodules.folds.parts import Parts
from datamodules.index import Index
from datamodules.store.cache import Cache, build_cache
from datamodules.store.rows import ArraySpec

PEOPLE = ["S1", "S1", "S2", "S2", "S3", "S3"]
SPLIT = Split(np.array([4, 5]), np.array([2, 3]), np.array([0, 1]))


def cache(folder: Path, rows: int, bad: tuple[int, ...] = ()) -> Cache:
    def compute(row: int) -> dict[str, np.ndarray]:
        if row in bad:
            raise BadSample(f"row {row}", "is bad")
        return {"x": np.array(row, np.int64)}

    specs = {"x": ArraySpec((), "int64")}
    return build_cache(folder, {"bad": list(bad)}, rows, specs, compute, "skip", workers=1)


def parts(
    stored: Cache, split: Split = SPLIT, expressions: Any = (0, 1) * 3, **kwargs: Any
) -> Parts:
    count = len(PEOPLE)
    index = Index(
        [f"{who}/{i}" for i, who in enumerate(PEOPLE)],
        np.array(expressions, np.int8),
        pixels=np.zeros((count, 2, 2), np.uint8),
        subjects=PEOPLE,
    )
    fold_of = np.full(count, -1)
    for number, part in enumerate((split.test, split.val, split.train)):
        fold_of[part] = number
    free = np.flatnonzero(np.array(expressions) < 0)
    assignment = Assignment(split, free, fold_of, 3, ("a note",))
    return Parts(index, assignment, stored, expressions="basic7", **kwargs)


def test_unusable_rows_are_in_no_part(tmp_path: Path) -> None:
    found = parts(cache(tmp_path, 6, bad=(1, 5)))
    rows = {name: rows.tolist() for name, rows in found.rows.items()}
    assert rows == {"train": [4], "val": [2, 3], "test": [0]}
    assert found.subjects == {"train": ["S3"], "val": ["S2"], "test": ["S1"]}
    assert found.class_counts("val")[:2] == (1, 1)
    with pytest.raises(DatasetError, match="No training image is left of the classes happiness"):
        found.check_classes()


def test_further_rows_of_a_sample_train_only(tmp_path: Path) -> None:
    sample_of = np.array([*range(6), 0, 2, 4, 4, 5])
    stored = cache(tmp_path, 11, bad=(5, 9))
    found = parts(stored, sample_of=sample_of)
    assert found.rows["train"].tolist() == [4, 8, 10]
    assert found.rows["test"].tolist() == [0, 1]
    assert found.samples("train").tolist() == [4]
    # Samples are counted, not rows.
    assert found.class_counts("train")[:2] == (1, 1)
    further = parts(stored, sample_of=sample_of, trains=np.arange(11) > 5)
    assert further.rows["train"].tolist() == [8, 10]
    assert further.rows["val"].tolist() == [2, 3]
    batch = found.dataset("train", {"person": np.arange(11)}).__getitems__([0, 2])
    assert {name: values.tolist() for name, values in batch.items()} == {
        "x": [4, 10],
        "label": [0, 1],
        "person": [4, 10],
        "sample_id": [4, 10],
    }


def test_a_stage_needs_its_parts(tmp_path: Path) -> None:
    found = parts(cache(tmp_path, 6, bad=(0, 1)))
    found.check("fit")
    found.check("validate")
    with pytest.raises(DatasetError, match=r"in test; of 6 images .* train 2, val 2, test 0\."):
        found.check("test")
    with pytest.raises(DatasetError, match="There is no usable image in test"):
        found.dataset("test", {})


def test_samples_without_a_label_weigh_as_much_as_one_with(tmp_path: Path) -> None:
    split = Split(np.array([0, 1, 2]), np.array([], np.int64), np.array([], np.int64))
    found = parts(cache(tmp_path, 6), split, (0, 0, 1, -1, -1, -1), unlabelled=True)
    assert found.rows["train"].tolist() == [0, 1, 2, 3, 4, 5]
    assert found.balancing_weights().tolist() == [0.75, 0.75, 1.5, 1, 1, 1]
    limited = parts(
        cache(tmp_path, 6), split, (0, 0, 1, -1, -1, -1), unlabelled=True, train_limit=2
    )
    assert len(limited.rows["train"]) == 4
    assert limited.usable_for_training == 3


def test_the_report_says_who_is_where_and_writes_the_folds(tmp_path: Path) -> None:
    found = parts(cache(tmp_path, 6, bad=(5,)))
    text = found.describe("Some, source here", ["one remark"])
    lines = text.splitlines()
    assert lines[0] == "Some, source here: 6 images of 3 people; 0 problems, 1 unusable"
    assert lines[1].startswith("0 images in no part")
    assert lines[2] == "skipped row 5: is bad"
    assert lines[3] == "a note"
    assert lines[4].startswith("train: 1 images of 1 people: neutral 1, happiness 0")
    assert "people of train: S3" in lines
    short = found.summarize("Some, source here").splitlines()
    assert short[:2] == [lines[0], "train: 1 images of 1 people; 1 classes, 1 each"]
    assert len(short) == 4
    assert lines[-2] == "one remark"
    file = found.cache.beside(f"protocol_{found.folds_hash[:12]}.csv")
    assert lines[-1] == f"3 folds, written to {file}"
    assert file.read_text().splitlines()[1] == "S1;0;neutral;1;0;0"


def test_a_disk_that_is_only_read_keeps_no_protocol(tmp_path: Path, monkeypatch: Any) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    found = parts(cache(tmp_path, 6))
    monkeypatch.setattr(Path, "mkdir", refuse)
    assert found.describe("Some, source here").endswith("\n3 folds")


def test_the_protocol_leaves_out_samples_in_no_part(tmp_path: Path) -> None:
    split = Split(np.array([4, 5]), np.array([2]), np.array([0]))
    found = parts(cache(tmp_path, 6), split)
    assert found.protocol() == [
        ("S1", "0", "neutral", 0),
        ("S2", "2", "neutral", 1),
        ("S3", "4", "neutral", 2),
        ("S3", "5", "happiness", 2),
    ]
