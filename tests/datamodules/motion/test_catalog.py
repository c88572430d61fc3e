from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest
from datamodules.motion.catalog import Catalog

from datamodules.errors import DatasetError
from datamodules.sets.lists.lille import expression_codes
from datamodules.sets.snap2dfe import read_frame_folders
from datamodules.synthetic import MARKER
from tests.datamodules.trees import snap_tree


def catalog(root: Path, expressions: str = "basic7", **tree: object) -> Catalog:
    if not root.exists():
        snap_tree(root, **tree)  # type: ignore[arg-type]
    return Catalog.make(root, read_frame_folders(root, expression_codes(None)), expressions, [1])


def test_nobody_is_on_two_sides_and_everybody_is_tested_once(tmp_path: Path) -> None:
    data = catalog(tmp_path / "snap", subjects=7)
    fold_of = data.fold_of(5, "stratified", seed=1)
    tested: list[int] = []
    for fold in range(5):
        parts = data.split(fold_of, fold)
        people = [set(data.subjects_in(part)) for part in parts]
        assert not people[0] & people[1] | people[0] & people[2] | people[1] & people[2]
        assert sum(map(len, people)) == 7
        tested += parts.test.tolist()
    assert sorted(tested) == list(range(14))


def test_number_of_folds_is_ten_or_the_number_of_people(tmp_path: Path) -> None:
    few = catalog(tmp_path / "few", subjects=4, frames=2)
    many = catalog(tmp_path / "many", subjects=12, codes=(1,), frames=2)
    assert few.fold_of(None, "stratified", 0).max() + 1 == 4
    assert many.fold_of(None, "stratified", 0).max() + 1 == 10


def test_other_expressions_are_in_no_fold(tmp_path: Path) -> None:
    data = catalog(tmp_path / "snap", "basic6", codes=(0, 1, 2))
    fold_of = data.fold_of(None, "stride", 0)
    np.testing.assert_array_equal(fold_of < 0, data.classes < 0)
    parts = data.split(fold_of, 0)
    assert sum(len(part) for part in parts) == 6
    assert data.class_counts(parts.test) == (
        "happiness 1, surprise 0, sadness 0, anger 0, disgust 0, fear 1"
    )


def test_protocol_of_the_data_set_is_used_unless_folds_are_asked_for(tmp_path: Path) -> None:
    data = catalog(tmp_path / "snap", subjects=5)
    sequences = tuple(
        dataclasses.replace(s, fold={"S001": 1, "S002": 0, "S003": 2}.get(s.subject))
        for s in data.sequences
    )
    own = dataclasses.replace(data, sequences=sequences)
    assert own.fold_of(None, "stratified", 0).tolist() == [1, 1, 0, 0, 2, 2, -1, -1, -1, -1]
    assert own.fold_of(5, "stratified", 0).min() == 0
    shared = (dataclasses.replace(sequences[0], fold=0), *sequences[1:])
    leaking = dataclasses.replace(data, sequences=shared)
    with pytest.raises(DatasetError, match="Subjects S001 are both in"):
        leaking.split(leaking.fold_of(None, "stratified", 0), 0)


def test_manifest_is_of_names_sizes_and_labels(tmp_path: Path) -> None:
    before = catalog(tmp_path / "snap").manifest_hash()
    frame = tmp_path / "snap" / "SNAPcam1" / "S001" / "001" / "img_001.png"
    os.utime(frame, (0, 0))
    (tmp_path / "snap").rename(tmp_path / "moved")
    assert catalog(tmp_path / "moved").manifest_hash() == before
    frame = tmp_path / "moved" / frame.relative_to(tmp_path / "snap")
    frame.write_bytes(frame.read_bytes() + b"\0")
    assert (larger := catalog(tmp_path / "moved").manifest_hash()) != before
    csv = tmp_path / "moved" / "emotions" / "SNAP_emotions.csv"
    csv.write_text(csv.read_text().replace("S001;001;1", "S001;001;4"))
    assert catalog(tmp_path / "moved").manifest_hash() not in (before, larger)


def test_names_of_samples(tmp_path: Path) -> None:
    data = catalog(tmp_path / "snap")
    assert data.sample_name(3) == "S002/002"
    assert data.sample_name(6) == "S001/001:1-2"
    assert data.sample_name(7) == "S001/001:2-3"


def test_drawn_trees_are_known_by_their_marker(tmp_path: Path) -> None:
    assert not catalog(tmp_path / "snap").is_synthetic()
    (tmp_path / "snap" / MARKER).write_text("{}")
    assert catalog(tmp_path / "snap").is_synthetic()


def test_folds_can_be_written_down(tmp_path: Path) -> None:
    data = catalog(tmp_path / "snap", "basic6", codes=(0, 1))
    protocol = data.protocol(data.fold_of(None, "stride", 0))
    assert protocol.subjects == ("S001", "S002", "S003")
    assert protocol.sequences == ("002",) * 3
    assert protocol.labels == ("happiness",) * 3
    assert protocol.fold_of.tolist() == [0, 1, 2]
