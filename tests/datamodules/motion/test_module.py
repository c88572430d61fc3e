from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from datamodules.errors import BadSamples, DatasetError
from datamodules.motion.flow import estimate_flow
from datamodules.sets.snap2dfe import SNaP2DFeDataModule
from tests.datamodules.runs import Recorder, make, trainer
from tests.datamodules.trees import picture, snap_tree, write_frames


def test_batches_are_as_promised(snap: Path, cache: Path) -> None:
    data = make(snap, cache)
    data.prepare_data()
    data.setup()
    assert data.class_names[0] == "neutral"
    assert data.source == "snap"
    assert len(data.manifest_hash) == 64
    # 4 people of 3 sequences; each has a neutral-apex pair and 2 frame-to-frame pairs.
    assert data.split_sizes == {"train": 18, "val": 3, "test": 3}
    for loader, registered in (
        (data.train_dataloader(), False),
        (data.val_dataloader(), False),
        (data.test_dataloader(), True),
    ):
        batch = data.on_after_batch_transfer(next(iter(loader)), 0)
        assert ("registered_flow" in batch) == ("posed_apex" in batch) == registered
        size = len(batch["label"])
        for name in ("flow", "posed_flow", *(["registered_flow"] if registered else [])):
            assert batch[name].shape == (size, 2, 16, 16)
            assert batch[name].dtype == torch.float32
        for name in ("neutral", "apex", *(["posed_apex"] if registered else [])):
            assert batch[name].shape == (size, 3, 16, 16)
            assert 0 <= batch[name].min() <= batch[name].max() <= 1
        assert batch["is_neutral_apex"].dtype == torch.bool
        assert {batch[name].dtype for name in ("label", "subject", "sample_id")} == {torch.int64}
    assert [data.sample_name(int(i)) for i in batch["sample_id"]] == [
        "S001/001",
        "S001/002",
        "S001/003",
    ]
    assert batch["label"].tolist() == [0, 1, 6]
    assert batch["subject"].tolist() == [0, 0, 0]
    assert batch["is_neutral_apex"].all()


def test_batches_equal_what_opencv_computes(snap: Path, cache: Path) -> None:
    data = make(snap, cache)
    data.setup("fit")
    seen = 0
    for stored in data.train_dataloader():
        batch = data.on_after_batch_transfer(stored, 0)
        for i, sample in enumerate(batch["sample_id"].tolist()):
            name = data.sample_name(sample)
            first, second = (
                (int(n) - 1 for n in name.split(":")[1].split("-")) if ":" in name else (0, 2)
            )
            person = int(name[3])
            for key, head in (("flow", 0.0), ("posed_flow", 2.0)):
                frames = [picture(person, t / 2, head * t / 2) for t in (first, second)]
                flow = cv2.resize(estimate_flow(*frames), (16, 16), interpolation=cv2.INTER_AREA)
                expected = torch.from_numpy(flow.transpose(2, 0, 1) / 2)
                torch.testing.assert_close(batch[key][i], expected, rtol=1e-3, atol=1e-3)
            seen += 1
    assert seen == data.split_sizes["train"]


@pytest.mark.parametrize(
    ("arguments", "size"),
    [
        ({"strategies": ("neutral_apex",)}, 6),
        ({"strategies": ("frame_to_frame",)}, 12),
        ({"strategies": ("frame_to_frame",), "steps": (2,)}, 6),
        ({"strategies": ("neutral_apex", "frame_to_frame"), "steps": (1, 2)}, 18),
    ],
)
def test_strategies_choose_training_pairs_only(
    snap: Path, cache: Path, arguments: dict[str, Any], size: int
) -> None:
    data = make(snap, cache, **arguments)
    data.setup("fit")
    assert data.split_sizes == {"train": size, "val": 3, "test": 3}


def test_nobody_is_on_two_sides_in_any_fold(snap: Path, cache: Path) -> None:
    tested = []
    for fold in range(4):
        data = make(snap, cache, fold=fold)
        data.setup("test")
        people = [
            {int(s) for batch in loader for s in batch["subject"]}
            for loader in (data.train_dataloader(), data.val_dataloader(), data.test_dataloader())
        ]
        assert [len(part) for part in people] == [2, 1, 1]
        assert len(set.union(*people)) == 4
        tested.append(people[2].pop())
    assert sorted(tested) == [0, 1, 2, 3]


def test_names_of_samples(snap: Path, cache: Path) -> None:
    data = make(snap, cache)
    names = [data.sample_name(row) for row in (3, 12, 13)]
    assert names == ["S002/001", "S001/001:1-2", "S001/001:2-3"]


def test_a_part_without_usable_pairs_is_an_error(tmp_path: Path) -> None:
    root = snap_tree(tmp_path / "snap", subjects=3, codes=(1,))
    (root / "SNAPcam2" / "S001" / "001" / "img_003.png").write_text("no image")
    data = make(root, tmp_path / "cache", on_bad_sample="skip")
    data.setup("fit")
    with pytest.raises(DatasetError, match=r"no usable sequence of the classes .* in test"):
        data.setup("test")


def test_training_order_is_of_the_seed(snap: Path, cache: Path) -> None:
    def order(seed: int) -> list[list[int]]:
        data = make(snap, cache, seed=seed)
        data.setup("fit")
        return [batch["sample_id"].tolist() for batch in data.train_dataloader()]

    assert order(0) == order(0)
    assert order(0) != order(1)


def test_everything_bad_is_one_error_or_skipped_and_counted(tmp_path: Path) -> None:
    root = snap_tree(tmp_path / "snap", subjects=4, codes=(1, 2, 3))
    truncated = root / "SNAPcam1" / "S004" / "001" / "img_003.png"
    truncated.write_bytes(truncated.read_bytes()[:60])
    (root / "SNAPcam2" / "S004" / "002" / "img_001.png").write_text("no image")
    (root / "SNAPcam2" / "S003" / "003" / "img_003.png").unlink()
    with (root / "emotions" / "SNAP_emotions.csv").open("a") as file:
        file.write("S009;001;1\n")
    with pytest.raises(BadSamples) as error:
        make(root, tmp_path / "cache").prepare_data()
    bad = dict(error.value.bad)
    assert len(bad) == 4
    assert bad[str(truncated)] == "the file is truncated"
    assert bad[str(root / "SNAPcam2" / "S003" / "003")].startswith("has 2 frames")

    data = make(root, tmp_path / "cache", on_bad_sample="skip", fold=3)
    data.setup("fit")
    # Of S004 the pair before the truncated frame, and nothing of the second sequence, is left.
    assert data.split_sizes["test"] == 1
    # S001's 3 sequences of 3 pairs validate; S002's 3x3 and S003's 3+3+1 train.
    assert data.split_sizes["train"] == 16
    assert "2 problems, 5 unusable" in data.description
    assert "line 13: there is no S009/001" in data.description


def test_a_flow_that_is_not_finite_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def estimate(first: np.ndarray, *args: Any, **kwargs: Any) -> np.ndarray:
        return np.full((*first.shape, 2), np.nan, np.float32)

    monkeypatch.setattr("datamodules.motion.flow.cv2.calcOpticalFlowFarneback", estimate)
    root = snap_tree(tmp_path / "snap", subjects=3, frames=2)
    with pytest.raises(BadSamples, match=r"img_002\.png: the farneback flow has values"):
        make(root, tmp_path / "cache").prepare_data()


def test_a_face_not_found_is_named_with_its_camera(tmp_path: Path) -> None:
    root = snap_tree(tmp_path / "snap", subjects=3, frames=2)
    with pytest.raises(BadSamples, match=r"SNAPcam1/S001/001/img_001\.png: no face was found"):
        make(root, tmp_path / "cache", crop="loose").prepare_data()


def test_report_says_what_the_data_are(
    tmp_path: Path, snap: Path, caplog: pytest.LogCaptureFixture
) -> None:
    # A pixel of the flow's grid, as the clip is told in pixels of a 128x128 grid.
    data = make(snap, tmp_path, clip=128 / 16)
    with caplog.at_level(logging.INFO):
        data.setup("fit")
        data.setup("fit")
    title = "SNaP-2DFe, source snap: 12 sequences of 4 people, 36 pairs of frames"
    assert caplog.text.count(title) == 1
    text = data.description
    assert "subjects and sequences found: 4 and 12 (published: 15 and 630)" in text
    assert "train: 18 pairs, 6 sequences of 2 people: neutral 2, happ" in text
    (folder,) = tmp_path.glob("snap-2dfe-*.report")
    (file,) = folder.glob("flow_magnitude_*.json")
    found = json.loads(file.read_text())
    flows = [
        data.on_after_batch_transfer(batch, 0)["posed_flow"] for batch in data.train_dataloader()
    ]
    length = torch.cat(flows).norm(dim=1).flatten().numpy()
    assert found["posed_flow"]["q3"] == pytest.approx(np.quantile(length, 0.75), abs=0.02)
    assert found["posed_flow"]["share_clipped"] == pytest.approx((length > 1).mean())
    assert f"a clip at 1 px cuts {100 * found['posed_flow']['share_clipped']:.2f} %" in text
    assert len(list(folder.glob("protocol_*.csv"))) == 1


def test_a_fold_keeps_the_magnitudes_of_the_others(tmp_path: Path, snap: Path) -> None:
    def measured(fold: int) -> dict[str, str]:
        make(snap, tmp_path, fold=fold).setup("fit")
        return {file.name: file.read_text() for file in tmp_path.glob("*.report/*.json")}

    first = measured(0)
    both = measured(2)
    assert len(first) == 1
    assert len(both) == 2
    assert first.items() < both.items()
    assert measured(0) == both


def test_test_batches_say_how_the_head_moves(tmp_path: Path) -> None:
    root = snap_tree(tmp_path / "snap", subjects=3, codes=(0, 1))
    rows = [
        f"S00{who};00{what};{'yaw' if what == 1 else 'roll'}"
        for who in (1, 2, 3)
        for what in (1, 2)
    ]
    (root / "movements.csv").write_text("\n".join(rows) + "\n")
    data = make(root, tmp_path / "cache")
    data.prepare_data()
    data.setup()
    assert data.subset_names == ("roll", "yaw")
    (batch,) = data.test_dataloader()
    assert batch["subsets"].tolist() == [[False, True], [True, False]]
    assert "subsets" not in next(iter(data.val_dataloader()))


def test_prediction_needs_no_data_set(tmp_path: Path) -> None:
    write_frames(tmp_path / "clip", person=1, frames=4)
    data = SNaP2DFeDataModule(
        cache_dir=str(tmp_path / "cache"), size=16, crop="none", input=str(tmp_path / "clip")
    )
    (batch,) = trainer(tmp_path).predict(Recorder(), datamodule=data)
    assert not (tmp_path / "cache").exists()
    assert batch["posed_flow"].dtype == torch.float32
    assert batch["neutral"].shape == (3, 3, 16, 16)
    assert batch["neutral"].max() <= 1
    assert [data.sample_name(int(i)) for i in batch["sample_id"]] == [
        "clip:2",
        "clip:3",
        "clip:4",
    ]
    assert data.source == "clip"
    with pytest.raises(ValueError, match=r"Prediction needs data\.input"):
        trainer(tmp_path).predict(Recorder(), datamodule=SNaP2DFeDataModule())


def test_embedded_faces_are_drawn_in_the_cache_and_called_synthetic(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = []

    def write(root: Path, *, subjects: int) -> None:
        drawn.append(root)
        if not root.exists():
            snap_tree(root, subjects)

    monkeypatch.setattr("datamodules.sets.snap2dfe.write_snap2dfe", write)
    data = SNaP2DFeDataModule(
        cache_dir=str(tmp_path), synthetic_subjects=3, size=16, crop="none", batch_size=2
    )
    data.setup("fit")
    assert data.source == "synthetic"
    assert drawn == [tmp_path / "synthetic" / "snap2dfe-3"]
    assert data.split_sizes["test"] == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": 0}, "data.size must be at least 1, but is 0"),
        ({"folds": 2}, "folds must be at least 3"),
        ({"folds": 10, "fold": 10}, "fold must be from 0 to 9, but is 10"),
        ({"fold": -1}, "fold must be from 0 to the number of folds less 1, but is -1"),
        ({"steps": (1, -2)}, "data.steps must be at least 1, but is -2"),
        ({"flow": "raft"}, "data.flow must be one of farneback, .* but is 'raft'"),
        ({"strategies": ()}, "data.strategies must name"),
        ({"expressions": "seven"}, "expressions must be one of basic7"),
    ],
)
def test_arguments_are_checked(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SNaP2DFeDataModule(**arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"fold": 9}, "fold must be from 0 to 3, but is 9"),
        ({"folds": 2}, "folds must be at least 3"),
        ({"folds": 5}, "Got 5 folds but only 4 subjects"),
    ],
)
def test_folds_are_checked_before_the_cache_is_built(
    snap: Path, tmp_path: Path, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        make(snap, tmp_path / "cache", **arguments).prepare_data()
    assert not (tmp_path / "cache").exists()


def test_workers_read_the_same_batches(snap: Path, cache: Path) -> None:
    def read(workers: int) -> Iterator[list[int]]:
        data = make(snap, cache, num_workers=workers)
        data.setup("fit")
        for batch in data.train_dataloader():
            yield batch["sample_id"].tolist()

    assert list(read(0)) == list(read(1))
