from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import cv2
import pytest
import torch

from datamodules.errors import DatasetError
from datamodules.labels import CKPLUS_CODES, Expression
from datamodules.motion.posing import PoseRange, draw_noise, draw_poses, pose_flow
from datamodules.sets.ckplus import (
    _LILLE,
    _OFFICIAL,
    CKPlusDataModule,
    _compare,
    _Published,
    read_ckplus,
)
from datamodules.sets.lists.lille import expression_codes
from tests.datamodules.trees import ckplus_tree, picture


def make(root: Path, **kwargs: object) -> CKPlusDataModule:
    arguments = {"cache_dir": str(root / "cache"), "size": 16, "crop": "none", "batch_size": 2}
    return CKPlusDataModule(root=str(root), **{**arguments, **kwargs})


def test_labels_are_read_and_unlabelled_is_not_neutral(tmp_path: Path) -> None:
    root = ckplus_tree(tmp_path, subjects=2, codes=(1, 2, 3, 4, 5, 6, 7, None))
    shutil.rmtree(root / "Emotion" / "S002" / "008")
    index = read_ckplus(root, None, {})
    assert not index.problems
    assert index.expressions[:7].tolist() == [CKPLUS_CODES[c] for c in range(1, 8)]
    assert len(index) == 14
    (frontal,) = index.recordings[0]
    assert (index.names[0], index.subjects[0], index.lengths[0]) == ("S001/001", "S001", 3)
    assert frontal.files()[0].name == "S001_001_00000001.png"
    assert "16 sequences found, 14 labelled" in index.notes
    assert "has 327 of 118: anger 2 (of 45), contempt 2 (of 18)" in index.notes[-1]


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        ("cohn-kanade-images", "emotion"),
        ("extended-cohn-kanade-images/cohn-kanade-images", "Emotion_labels/Emotion"),
        ("CK+/Cohn-Kanade-Images", "CK+/emotions"),
        ("CK+/x/cohn-kanade-images", "CK+/x/Emotion_labels"),
    ],
)
def test_names_and_wrappers_seen_in_the_wild(tmp_path: Path, images: str, labels: str) -> None:
    source = ckplus_tree(tmp_path / "source", subjects=1)
    root = tmp_path / "root"
    shutil.copytree(source / "cohn-kanade-images", root / images)
    shutil.copytree(source / "Emotion", root / labels)
    for place in (root / images, root / images / "S001", root / images / "S001" / "001"):
        (place / ".DS_Store").touch()
        (place / "readme.txt").touch()
    assert len(read_ckplus(root, None, {})) == 2


def test_everything_wrong_is_named(tmp_path: Path) -> None:
    root = ckplus_tree(tmp_path, subjects=1, codes=(1, 2, 3, 1, 5))
    emotion, images = root / "Emotion" / "S001", root / "cohn-kanade-images" / "S001"
    (emotion / "001" / "S001_001_00000003_emotion.txt").write_text("   9.0000000e+00\n")
    (emotion / "002" / "S001_002_00000003_emotion.txt").write_text("")
    (emotion / "003" / "S001_003_00000002_emotion.txt").write_text("   1.0000000e+00\n")
    shutil.rmtree(images / "004")
    for number in (2, 3):
        (images / "005" / f"S001_005_{number:08d}.png").unlink()
    index = read_ckplus(root, None, {})
    assert [(Path(path).name, reason) for path, reason in index.problems] == [
        ("S001_001_00000003_emotion.txt", "holds the label 9, not 0 to 7"),
        ("S001_002_00000003_emotion.txt", "holds no label from 0 to 7, and nothing else"),
        ("003", "holds 2 labels"),
        (
            "S001_004_00000003_emotion.txt",
            f"labels a sequence that is not in {root / 'cohn-kanade-images'}",
        ),
        ("005", "has 1 frame(s), but a flow needs two"),
    ]
    assert len(index) == 0


def test_list_of_the_user_replaces_the_labels(tmp_path: Path) -> None:
    root = ckplus_tree(tmp_path, subjects=2, codes=(5, None, 1))
    csv = tmp_path / "label_CK+.csv"
    csv.write_text("subject;file;emotion;\nS001;001;1;\nS001;002;6;\nS002;1;0;\nS002;2;8;\nS9;1;1")
    index = read_ckplus(root, csv, CKPlusDataModule(labels_csv=str(csv))._codes)
    assert list(zip(index.names, index.expressions, strict=True)) == [
        ("S001/001", Expression.HAPPINESS),
        ("S001/002", Expression.SADNESS),
    ]
    assert index.notes[0] == f"{csv}: 3 labels"
    assert index.problems == [
        (f"{csv} line 5", "label '8' is none of 1, 2, 3, 4, 5, 6; set data.label_map"),
        (f"{csv} line 6", f"labels a sequence that is not in {root / 'cohn-kanade-images'}"),
    ]
    assert "0" in expression_codes(None)


def test_missing_data_and_labels(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"(?s)is empty.*cohn-kanade-images.*jeffcohn\.net"):
        read_ckplus(tmp_path, None, {})
    shutil.rmtree(ckplus_tree(tmp_path, subjects=1) / "Emotion")
    with pytest.raises(DatasetError, match=r"no folder Emotion .* data\.labels_csv"):
        read_ckplus(tmp_path, None, {})


@pytest.mark.parametrize(
    ("published", "told"),
    [
        (_OFFICIAL, "327 labelled sequences of 118 subjects, each class as in the Emotion folder"),
        (
            _LILLE,
            "374 labelled sequences of 99 subjects, each class as in the list of the eMotion-GAN "
            "and SSIM-VAE papers",
        ),
    ],
)
def test_published_counts_are_recognised(published: _Published, told: str) -> None:
    expressions = [name for name, count in published.sequences.items() for _ in range(count)]
    people = [f"S{number % published.subjects}" for number in range(len(expressions))]
    assert _compare(expressions, people, published) == told
    fewer = _compare(expressions[1:], people[1:], published)
    assert fewer.startswith(f"{len(expressions) - 1} labelled sequences")
    assert f"anger {published.sequences[Expression.ANGER] - 1} (of" in fewer


def test_a_class_that_the_papers_list_lacks_is_named() -> None:
    told = _compare([Expression.CONTEMPT], ["S1"], _LILLE)
    assert told.startswith("1 labelled sequences of 1 subjects are usable, the list of the")
    assert "has 374 of 99: anger 0 (of 37), contempt 1 (of 0), disgust 0 (of 41)" in told


def test_mixed_colour_and_sizes_make_one_cache(tmp_path: Path) -> None:
    root = ckplus_tree(tmp_path, subjects=3)
    for frame in (root / "cohn-kanade-images" / "S002").rglob("*.png"):
        cv2.imwrite(str(frame), cv2.resize(picture(2, 0.5, colour=True), (40, 36)))
    data = make(root)
    data.setup("fit")
    batch = next(iter(data.train_dataloader()))
    assert batch["neutral"].shape == (2, 3, 16, 16)


def test_contempt_is_left_out_by_default_and_kept_by_name(tmp_path: Path) -> None:
    root = ckplus_tree(tmp_path, subjects=3, codes=(2, 5))
    default, seven = make(root, strategies=("neutral_apex",)), make(root, expressions="ck7")
    for data in (default, seven):
        data.setup("fit")
    assert default.split_sizes == {"train": 1, "val": 1, "test": 1}
    assert seven.split_sizes["test"] == 2
    labels = next(iter(seven.test_dataloader()))["label"].tolist()
    assert Counter(seven.class_names[label] for label in labels) == {"contempt": 1, "happiness": 1}


def test_posed_flow_is_the_composition_and_is_fixed_in_evaluation(tmp_path: Path) -> None:
    data = make(ckplus_tree(tmp_path), seed=3, noise=0.1)
    data.setup("test")
    stored = next(iter(data.test_dataloader()))
    assert "posed_flow" not in stored
    flow, ids = stored["flow"].float(), stored["sample_id"]
    batch = data.on_after_batch_transfer(dict(stored), 0)
    limits = PoseRange(10.0, 4.0, 0.05, 0.1)
    expected = pose_flow(flow, draw_poses(ids, seed=3, epoch=0, limits=limits))
    expected += draw_noise(ids, seed=3, epoch=0, size=16, noise=0.1)
    torch.testing.assert_close(batch["posed_flow"], expected, rtol=0, atol=0)
    alone = {name: value[1:] for name, value in stored.items()}
    again = data.on_after_batch_transfer(alone, 0)["posed_flow"]
    torch.testing.assert_close(again, batch["posed_flow"][1:], rtol=0, atol=0)


def test_registered_flow_undoes_much_of_the_turn(tmp_path: Path) -> None:
    data = make(ckplus_tree(tmp_path), noise=0.0, size=32)
    data.setup("test")
    batch = data.on_after_batch_transfer(next(iter(data.test_dataloader())), 0)
    frontal = batch["flow"]
    inside = (..., slice(8, -8), slice(8, -8))
    posed = (batch["posed_flow"] - frontal)[inside].norm(dim=1).mean()
    registered = (batch["registered_flow"] - frontal)[inside].norm(dim=1).mean()
    assert registered < 0.6 * posed
    # The face that was turned, not the frontal one.
    assert (batch["posed_apex"] - batch["apex"]).abs().mean() > 0.02


def test_a_batch_to_predict_on_is_not_posed(tmp_path: Path) -> None:
    data = make(tmp_path)
    flow = torch.randn(1, 2, 16, 16)
    batch = data.on_after_batch_transfer({"posed_flow": flow, "sequence": ["a"]}, 0)
    assert batch["posed_flow"] is flow
