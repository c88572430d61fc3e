from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datamodules.index import Index
from datamodules.labels import Expression
from datamodules.sets.lists.lille import expression_codes
from datamodules.sets.snap2dfe import read_frame_folders
from datamodules.synthetic.tree import MARKER
from tests.datamodules.trees import snap_tree


def index(folder: Path, **columns: Any) -> Index:
    files = [folder / f"{i}.png" for i in range(3)]
    for i, file in enumerate(files):
        file.write_bytes(b"x" * (i + 1))
    expressions = np.array([Expression.FEAR, -1, Expression.CONTEMPT], np.int8)
    given = {"names": ["a", "b", "c"], "files": files, "expressions": expressions}
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
        ({"files": None}, "needs files, pixels or recordings, and exactly one"),
        (
            {"pixels": np.zeros((3, 4, 4), np.uint8)},
            "needs files, pixels or recordings, and exactly one",
        ),
        ({"files": None, "pixels": np.zeros((2, 4, 4), np.uint8)}, r"pixels must be .*\(3, 4, 4\)"),
        ({"names": ["a", "a", "c"]}, "2 samples are called a"),
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


def sequences(root: Path) -> Index:
    if not root.exists():
        snap_tree(root)
    return read_frame_folders(root, expression_codes(None))


def test_the_fingerprint_of_sequences_is_of_names_sizes_and_labels(tmp_path: Path) -> None:
    before = sequences(tmp_path / "snap").manifest_hash()
    frame = tmp_path / "snap" / "SNAPcam1" / "S001" / "001" / "img_001.png"
    os.utime(frame, (0, 0))
    (tmp_path / "snap").rename(tmp_path / "moved")
    assert sequences(tmp_path / "moved").manifest_hash() == before
    frame = tmp_path / "moved" / frame.relative_to(tmp_path / "snap")
    frame.write_bytes(frame.read_bytes() + b"\0")
    assert (larger := sequences(tmp_path / "moved").manifest_hash()) != before
    csv = tmp_path / "moved" / "emotions" / "SNAP_emotions.csv"
    csv.write_text(csv.read_text().replace("S001;001;1", "S001;001;4"))
    assert sequences(tmp_path / "moved").manifest_hash() not in (before, larger)


def test_drawn_sequences_are_known_by_their_marker(tmp_path: Path) -> None:
    root = tmp_path / "snap"
    assert not sequences(root).is_synthetic(tmp_path)
    (root / MARKER).write_text("{}")
    assert sequences(root).is_synthetic(tmp_path)


def test_people_are_numbered_in_natural_order(tmp_path: Path) -> None:
    found = index(tmp_path, subjects=["S10", "S9", "S10"])
    assert found.people == ("S9", "S10")
    assert found.person_of.tolist() == [1, 0, 1]
    assert found.people_in(np.array([0, 2])) == ["S10"]
    nobody = index(tmp_path)
    assert (nobody.people, nobody.people_in(np.array([0, 1]))) == ((), [])


def test_votes_are_shared_out_over_the_classes(tmp_path: Path) -> None:
    assert index(tmp_path).class_votes("basic7") is None
    votes = np.zeros((3, 8), np.float32)
    votes[0, [0, 6]], votes[1, 1], votes[2, 0] = (0.5, 0.5), 1, 1
    shares = index(tmp_path, votes=votes).class_votes("ck7")
    assert shares is not None
    # Half of the votes were for a class; an image without a label has none; where nobody voted
    # for a class, the label counts.
    assert shares[0].tolist() == [0, 0, 0, 0, 0, 1, 0]
    assert shares[1].sum() == 0
    assert shares[2].tolist() == [0, 0, 0, 0, 0, 0, 1]
