"""Which still images train, validate and test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from datamodules.errors import DatasetError
from tests.datamodules.fake_faces import make, ready, write_faces
from tests.datamodules.runs import Recorder, trainer


def test_nobody_is_on_two_sides_in_any_fold(tree: Path, cache: Path) -> None:
    tested: list[int] = []
    for fold in range(4):
        data = ready(make(tree, cache, official=False, folds=4, fold=fold), None)
        rows = [data.faces(part)[1].tolist() for part in ("train", "val", "test")]
        people = [{data.sample_name(row).split("/")[1][:3] for row in part} for part in rows]
        assert sum(len(part) for part in people) == len(set.union(*people)) == 12
        assert people[0] == set(data.train_subjects)
        assert people[2] == set(data.test_subjects)
        assert data.num_folds == 4
        tested += rows[2]
    assert sorted(tested) == list(range(48))


def test_validation_is_cut_from_train_by_class_or_by_person(tmp_path: Path, cache: Path) -> None:
    root = write_faces(tmp_path / "faces", {"train": 20, "test": 2}, people=5)
    data = ready(make(root, cache, known=False, val_share=0.2))
    assert data.split_sizes == {"train": 32, "val": 8, "test": 4}
    assert data.class_counts[:2] == (16, 16)
    again = ready(make(root, cache, known=False, val_share=0.2))
    assert again.faces("val")[1].tolist() == data.faces("val")[1].tolist()
    other = ready(make(root, cache, known=False, val_share=0.2, seed=1))
    assert other.faces("val")[1].tolist() != data.faces("val")[1].tolist()
    assert other.folds_hash != data.folds_hash

    data = ready(make(root, cache, val_share=0.2))
    assert data.split_sizes == {"train": 32, "val": 8, "test": 4}
    assert len(data.train_subjects) == 4
    with pytest.raises(ValueError, match=r"one in 10 people of the training part, which has only"):
        ready(make(root, cache, val_share=0.1))


def test_a_person_in_two_official_parts_is_refused(tree: Path, cache: Path) -> None:
    data = make(tree, cache)
    data.more = {"subjects": [f"S{i % 7}" for i in range(48)]}
    with pytest.raises(DatasetError, match="are both in train and in test"):
        data.prepare_data()


def test_training_images_can_be_limited(tree: Path, cache: Path) -> None:
    data = ready(make(tree, cache, train_limit=9))
    assert data.class_counts == (3, 3, 0, 0, 3, 0, 0)
    assert data.split_sizes == {"train": 9, "val": 12, "test": 12}
    fewer = ready(make(tree, cache, train_limit=3))
    assert set(fewer.faces("train")[1]) < set(data.faces("train")[1])
    with pytest.raises(DatasetError, match="No training image is left of the classes"):
        ready(make(tree, cache, train_limit=2))


def test_images_without_a_label_train_only_and_only_when_asked_for(
    tmp_path: Path, cache: Path
) -> None:
    classes = ("neutral", "happiness", "nothing")
    parts = {"train": 4, "val": 4, "test": 4}
    root = write_faces(tmp_path / "faces", parts, classes=classes)
    assert ready(make(root, cache)).split_sizes == {"train": 8, "val": 8, "test": 8}
    data = ready(make(root, cache, unlabelled=True))
    assert data.split_sizes == {"train": 12, "val": 8, "test": 8}
    labels = torch.cat([batch["label"] for batch in data.train_dataloader()])
    assert sorted(labels.tolist()) == [-1] * 4 + [0] * 4 + [1] * 4
    # In folds, those of people who are held out stay out.
    data = ready(make(root, cache, unlabelled=True, official=False, folds=6))
    people = {data.sample_name(row).split("/")[1][:3] for row in data.faces("train")[1]}
    assert people == set(data.train_subjects)
    assert len(people) == 8


def test_a_data_set_without_any_label_trains_without_validation(
    tmp_path: Path, cache: Path
) -> None:
    root = write_faces(tmp_path / "faces", {"train": 4}, classes=("nothing",))
    kwargs = {"official": False, "known": False}
    recorder = Recorder("image")
    trainer(tmp_path).fit(recorder, datamodule=make(root, cache, unlabelled=True, **kwargs))
    assert sorted(i for seen in recorder.seen for i in seen[1:]) == [0, 1, 2, 3]
    with pytest.raises(DatasetError, match="There is no usable image of the classes neutral"):
        trainer(tmp_path).fit(Recorder("image"), datamodule=make(root, cache, **kwargs))


def test_a_missing_test_part_stops_only_the_test(tmp_path: Path, cache: Path) -> None:
    root = write_faces(tmp_path / "faces", {"train": 2, "val": 2})
    data = ready(make(root, cache))
    assert data.split_sizes == {"train": 4, "val": 4, "test": 0}
    with pytest.raises(DatasetError, match=r"in test; of 8 images found .* train 4, val 4, test 0"):
        data.setup("test")
    with pytest.raises(DatasetError, match="no usable image in test"):
        data.test_dataloader()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"fold": 1}, "data.fold is 1, but this data set has official parts"),
        ({"folds": 13}, "Got 13 folds but only 12 subjects"),
        ({"folds": 49, "known": False}, "48 images make 3 to 48 folds .* got 49 folds"),
    ],
)
def test_folds_are_checked_before_the_cache_is_built(
    tree: Path, tmp_path: Path, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        make(tree, tmp_path / "cache", **arguments).prepare_data()
    assert not (tmp_path / "cache").exists()
