from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from datamodules.motion.flow import estimate_flow
from datamodules.motion.training_fold import choose_faces
from tests.datamodules.runs import make
from tests.datamodules.trees import picture


def test_frontal_faces_are_of_the_training_fold(snap: Path, cache: Path) -> None:
    data = make(snap, cache)
    data.setup("fit")
    batches = list(data.frontal_faces(batch_size=4))
    assert [len(labels) for _, labels in batches] == [4, 2]
    labels = torch.cat([labels for _, labels in batches])
    assert sorted(labels.tolist()) == [0, 0, 1, 1, 6, 6]
    faces = torch.cat([faces for faces, _ in batches])
    small = [cv2.resize(picture(p, 1.0), (16, 16), interpolation=cv2.INTER_AREA) for p in (3, 4)]
    for face in faces:
        assert min(np.abs(face[0].numpy() * 255 - s).max() for s in small) < 1e-3
        assert face.dtype == torch.float32
    again = torch.cat([labels for _, labels in data.frontal_faces(batch_size=4)])
    assert torch.equal(again, labels)
    later = torch.cat([faces for faces, _ in data.frontal_faces(epoch=1, batch_size=4)])
    assert not torch.equal(later, faces)


def test_the_average_face_is_of_the_training_people_each_counted_once(
    snap: Path, cache: Path
) -> None:
    data = make(snap, cache)
    data.prepare_data()
    data.setup()
    samples = data.on_after_batch_transfer(
        data.dataset("train").__getitems__(list(range(data.split_sizes["train"]))), 0
    )
    first = samples["is_neutral_apex"]
    people = samples["subject"][first]
    faces = samples["neutral"][first]
    means = torch.stack([faces[people == person].mean(0) for person in people.unique()])
    average = data.average_face()
    assert average.shape == (3, 16, 16)
    torch.testing.assert_close(average, means.mean(0))


def test_frontal_flows_are_from_neutral_to_apex_in_the_training_fold(
    snap: Path, cache: Path
) -> None:
    data = make(snap, cache)
    data.setup("fit")
    flows, labels = (
        torch.cat(part) for part in zip(*data.frontal_flows(batch_size=4), strict=True)
    )
    assert sorted(labels.tolist()) == [0, 0, 1, 1, 6, 6]
    expected = [
        cv2.resize(
            estimate_flow(picture(p, 0.0), picture(p, 1.0)), (16, 16), interpolation=cv2.INTER_AREA
        )
        for p in (3, 4)
    ]
    for flow in flows:
        halved = [other.transpose(2, 0, 1) / 2 for other in expected]
        assert min(np.abs(flow.numpy() - other).max() for other in halved) < 1e-2
    again = torch.cat([labels for _, labels in data.frontal_flows(batch_size=4)])
    assert torch.equal(again, labels)
    later = torch.cat([flow for flow, _ in data.frontal_flows(epoch=1, batch_size=4)])
    assert not torch.equal(later, flows)


def test_flow_pairs_are_frontal_and_posed_flows_of_the_training_part(
    snap: Path, cache: Path
) -> None:
    data = make(snap, cache)
    data.setup("fit")
    rows, arrays = data._open().rows["train"], data._open().cache.arrays
    *flows, person = data.flow_pairs()
    for found, name in zip(flows, ("flow", "posed_flow"), strict=True):
        np.testing.assert_array_equal(found.numpy(), np.asarray(arrays[name])[rows])
    np.testing.assert_array_equal(person.numpy(), data.columns("train")["subject"][rows])
    assert all(len(found) == 2 for found in data.flow_pairs(most=2))


def test_frontal_faces_are_apexes_and_neutral_first_frames(
    snap: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = make(snap, cache)
    data.setup("fit")
    rows, is_apex = np.array([6, 7, 8, 7]), np.array([True, True, True, False])
    chosen = (rows, is_apex, np.array([5, 6, 7, 0]))
    monkeypatch.setattr("datamodules.motion.training_fold.choose_faces", lambda *_: chosen)
    arrays = data._open().cache.arrays
    faces, labels = (torch.cat(part) for part in zip(*data.frontal_faces(), strict=True))
    for face, label in zip(faces, labels.tolist(), strict=True):
        name, row = {5: ("apex", 6), 6: ("apex", 7), 7: ("apex", 8), 0: ("neutral", 7)}[label]
        np.testing.assert_allclose(
            face.numpy() * 255, np.repeat(arrays[name][row], 3, 0), atol=1e-3
        )


def test_neutral_faces_fill_up_to_the_mean_class() -> None:
    classes = np.array([1, 1, 2, 2, 1, 2, 0, 1])
    rows = np.arange(10, 18)
    chosen, is_apex, labels = choose_faces(rows, classes, neutral=0, num_classes=3)
    # 7 expressive faces in 2 classes: 3 neutral are wanted, 1 is there.
    assert len(chosen) == 10
    assert is_apex.tolist() == [True] * 8 + [False] * 2
    np.testing.assert_array_equal(chosen[:8], rows)
    np.testing.assert_array_equal(labels, [*classes, 0, 0])
    assert 16 not in chosen[8:]  # a neutral recording's first frame adds nothing


def test_without_the_class_neutral_nothing_is_added() -> None:
    rows, classes = np.arange(4), np.array([0, 1, 1, 0])
    chosen, is_apex, labels = choose_faces(rows, classes, neutral=None, num_classes=2)
    np.testing.assert_array_equal(chosen, rows)
    np.testing.assert_array_equal(labels, classes)
    assert is_apex.all()
