from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datamodules.index import Index
from datamodules.labels import Expression
from datamodules.store.marker import MARKER


def index(folder: Path, **columns: Any) -> Index:
    files = [folder / f"{i}.png" for i in range(3)]
    for i, file in enumerate(files):
        file.write_bytes(b"x" * (i + 1))
    expressions = np.array([Expression.FEAR, -1, Expression.CONTEMPT], np.int8)
    given = {"names": ["a", "b", "c"], "files": files, "pixels": None, "expressions": expressions}
    return Index(**{**given, **columns})


def test_classes_follow_the_set_and_no_expression_is_no_class(tmp_path: Path) -> None:
    found = index(tmp_path)
    assert len(found) == 3
    assert found.classes("basic7").tolist() == [6, -1, -1]
    assert found.classes("basic6").tolist() == [5, -1, -1]
    assert found.classes("all8").tolist() == [6, -1, 7]
    assert found.classes("ck7").tolist() == [5, -1, 6]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"files": None}, "needs files or pixels, and exactly one"),
        ({"pixels": np.zeros((3, 4, 4), np.uint8)}, "needs files or pixels, and exactly one"),
        ({"files": None, "pixels": np.zeros((2, 4, 4), np.uint8)}, r"pixels must be .*\(3, 4, 4\)"),
        ({"names": ["a", "a", "c"]}, "names of an index must be unique"),
        ({"expressions": np.zeros(2, np.int8)}, r"expressions must be of shape \(3,\), but is"),
        ({"votes": np.zeros((3, 10), np.float32)}, r"votes must be of shape \(3, 8\)"),
        ({"action_units": np.zeros((3, 8), np.int8)}, r"action_units must be of shape \(3, 14\)"),
        ({"boxes": np.zeros((4, 4), np.int64)}, r"boxes must be of shape \(3, 4\)"),
        ({"subjects": ["x"]}, r"subjects must be of shape \(3,\)"),
        ({"splits": ["train", "val", "dev"]}, "must be one of train, val, test, but got {'dev'}"),
        ({"subsets": {"pose30": np.zeros(4, np.bool_)}}, r"subsets\['pose30'\] must be of shape"),
    ],
)
def test_columns_that_do_not_fit_are_refused(
    tmp_path: Path, columns: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        index(tmp_path, **columns)


def test_the_fingerprint_is_of_images_and_labels(tmp_path: Path) -> None:
    before = index(tmp_path)
    assert index(tmp_path).manifest_hash() == before.manifest_hash()
    votes = np.eye(8, dtype=np.float32)[:3]
    others = [
        index(tmp_path, names=["a", "b", "d"]),
        index(tmp_path, expressions=np.zeros(3, np.int8)),
        index(tmp_path, votes=votes),
        index(tmp_path, votes=votes[::-1]),
        index(tmp_path, files=None, pixels=np.zeros((3, 4, 4), np.uint8)),
        index(tmp_path, files=None, pixels=np.ones((3, 4, 4), np.uint8)),
    ]
    hashes = {before.manifest_hash(), *(other.manifest_hash() for other in others)}
    (tmp_path / "0.png").write_bytes(b"longer")
    hashes.add(before.manifest_hash())
    (tmp_path / "0.png").unlink()
    hashes.add(before.manifest_hash())
    assert len(hashes) == 9
    # Which row is which image does not depend on the labels.
    assert [other.names_hash() == before.names_hash() for other in others[:3]] == [0, 1, 1]


def test_drawn_trees_are_known_by_their_marker(tmp_path: Path) -> None:
    inside = tmp_path / "wrapper" / "drawn"
    inside.mkdir(parents=True)
    found = index(inside)
    assert not found.is_synthetic(tmp_path)
    (inside / MARKER).write_text("{}")
    assert found.is_synthetic(tmp_path)
    pixels = index(inside, files=None, pixels=np.zeros((3, 4, 4), np.uint8))
    assert pixels.is_synthetic(inside)
    assert not pixels.is_synthetic(tmp_path)
