from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from datamodules import detectors
from datamodules.batch import OccludedFlowBatch
from datamodules.errors import BadSamples, UserError
from datamodules.faces import Box, face_of_landmarks
from datamodules.loaders import Batch
from datamodules.motion.flow import estimate_flow, resize_flow
from datamodules.motion.occlusion import occlude, occlusion_boxes
from datamodules.sets.ckplus import CKPlusDataModule
from datamodules.sets.ckplus_occluded import OccludedCKPlusDataModule
from tests.datamodules.trees import ckplus_tree, picture

SIDE = 96


def landmarks() -> NDArray[np.float64]:
    """Eyes in the upper left and mouth in the lower right of a frame."""
    points = np.full((68, 2), SIDE / 2)
    points[17:48] = (20, 16)
    points[36:42], points[42:48] = (14, 16), (26, 16)
    points[48:68:2], points[49:68:2] = (60, 70), (76, 76)
    return points


def tree(root: Path) -> Path:
    """Frames large enough for a flow to differ from place to place."""
    ckplus_tree(root)
    for frame in (root / "cohn-kanade-images").rglob("*.png"):
        person, progress = int(frame.name[1:4]), (int(frame.stem[-8:]) - 1) / 2
        assert cv2.imwrite(str(frame), picture(person, progress, size=SIDE))
    return root


def write_landmarks(root: Path, folder: str = "Landmarks", text: str | None = None) -> None:
    """Write those of the first frames only: no others are looked at."""
    images = root / "cohn-kanade-images"
    lines = "".join(f"   {x:.7e}   {y:.7e}\n" for x, y in landmarks())
    for frame in images.rglob("*_00000001.png"):
        place = root / folder / frame.parent.relative_to(images)
        place.mkdir(parents=True)
        (place / f"{frame.stem}_landmarks.txt").write_text(lines if text is None else text)


def make(root: Path, **kwargs: object) -> OccludedCKPlusDataModule:
    arguments = {"cache_dir": str(root / "cache"), "size": 32, "crop": "none", "batch_size": 2}
    return OccludedCKPlusDataModule(root=str(root), **{**arguments, **kwargs})


def of_test_fold(data: OccludedCKPlusDataModule) -> Batch:
    data.setup("test")
    return data.on_after_batch_transfer(next(iter(data.test_dataloader())), 0)


def expected_flow(
    data: OccludedCKPlusDataModule, root: Path, sample: int, region: str, cut: Box
) -> torch.Tensor:
    """The flow of a sample by hand: boxes on the whole frames, then the cut."""
    place = root / "cohn-kanade-images" / data.sample_name(sample)
    files = sorted(place.glob("*.png"))
    boxes = occlusion_boxes(region, len(files), landmarks=landmarks())
    first, second = (
        np.ascontiguousarray(
            occlude(np.asarray(cv2.imread(str(files[index]), cv2.IMREAD_GRAYSCALE)), boxes[index])[
                cut.top : cut.top + cut.height, cut.left : cut.left + cut.width
            ]
        )
        for index in (0, -1)
    )
    flow = resize_flow(estimate_flow(first, second, "farneback"), data.size)
    return torch.from_numpy(flow.transpose(2, 0, 1).astype(np.float16)).float()


def test_batches_keep_their_contract(tmp_path: Path) -> None:
    data = make(ckplus_tree(tmp_path))
    batch = of_test_fold(data)
    # Strings of annotations hide that subsets are not required.
    assert batch.keys() >= {*OccludedFlowBatch.__required_keys__} - {"subsets"}
    assert (batch["flow"].shape, batch["flow"].dtype) == ((2, 2, 32, 32), torch.float32)
    assert batch["occluded_flow"].shape == (2, 2, 2, 32, 32)
    assert batch["occluded_flow"].dtype == torch.float32
    for name in ("label", "subject", "sample_id"):
        assert (batch[name].shape, batch[name].dtype) == ((2,), torch.int64)
    assert data.regions == ("eyes", "mouth")
    assert data.split_sizes == {"train": 2, "val": 2, "test": 2}
    labels = {data.class_names[label] for label in batch["label"].tolist()}
    assert labels == {"happiness", "surprise"}


def test_clean_flow_is_that_of_the_data_without_occlusions(tmp_path: Path) -> None:
    root = ckplus_tree(tmp_path)
    whole = CKPlusDataModule(
        root=str(root),
        cache_dir=str(root / "cache"),
        size=32,
        crop="none",
        batch_size=2,
        strategies=("neutral_apex",),
        expressions="ck7",
    )
    data = make(root)
    for either in (whole, data):
        either.setup("validate")
    expected, found = next(iter(whole.val_dataloader())), next(iter(data.val_dataloader()))
    assert torch.equal(found["sample_id"], expected["sample_id"])
    assert torch.equal(found["flow"], expected["flow"])


def test_boxes_are_drawn_on_the_frames_by_the_landmarks(tmp_path: Path) -> None:
    root = tree(tmp_path)
    write_landmarks(root)
    data = make(root)
    batch = of_test_fold(data)
    whole = Box(0, 0, SIDE, SIDE)
    for number, flows in zip(batch["sample_id"].tolist(), batch["occluded_flow"], strict=True):
        for region, flow in zip(data.regions, flows, strict=True):
            expected = expected_flow(data, root, number, region, whole)
            torch.testing.assert_close(flow, expected, rtol=0, atol=0)


def test_flow_differs_near_the_box_more_than_far_from_it(tmp_path: Path) -> None:
    root = tree(tmp_path)
    write_landmarks(root)
    batch = of_test_fold(make(root))
    change = (batch["occluded_flow"] - batch["flow"].unsqueeze(1)).norm(dim=2).mean(dim=0)
    for region, other, name in ((0, 1, "eyes"), (1, 0, "mouth")):
        box = occlusion_boxes(name, 1, landmarks=landmarks())[0]
        rows, columns = (
            slice(max(start, 0) * 32 // SIDE, (start + length) * 32 // SIDE)
            for start, length in ((box.top, box.height), (box.left, box.width))
        )
        assert change[region, rows, columns].mean() > change[other, rows, columns].mean()


def test_boxes_follow_the_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tree(tmp_path)
    write_landmarks(root)
    # 1.6 times as wide: a cut of 64 pixels around (60, 60), inside the frame.
    monkeypatch.setattr(detectors, "detect_face", lambda _: Box(40, 40, 40, 40))
    data = make(root, crop="loose")
    batch = of_test_fold(data)
    cut = Box(28, 28, 64, 64)
    for number, flows in zip(batch["sample_id"].tolist(), batch["occluded_flow"], strict=True):
        expected = expected_flow(data, root, number, "mouth", cut)
        torch.testing.assert_close(flows[1], expected, rtol=0, atol=0)


def test_landmarks_stand_in_for_a_face_that_is_not_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tree(tmp_path)
    monkeypatch.setattr(detectors, "detect_face", lambda _: None)
    with pytest.raises(BadSamples, match="no face was found"):
        make(root, crop="loose").setup("fit")
    write_landmarks(root)
    from_landmarks = of_test_fold(make(root, crop="loose"))
    box = face_of_landmarks(landmarks())
    monkeypatch.setattr(detectors, "detect_face", lambda _: box)
    detected = of_test_fold(make(root, crop="loose", cache_dir=str(root / "other")))
    for key in ("flow", "occluded_flow"):
        assert torch.equal(from_landmarks[key], detected[key])


class _Training:
    """As much of a trainer as a data module asks for."""

    training, global_rank, world_size, current_epoch = True, 0, 1, 0
    state = SimpleNamespace(fn=None)


def test_a_share_of_the_training_samples_is_mirrored(tmp_path: Path) -> None:
    root = tree(tmp_path)
    plain, data = make(root), make(root, mirror=1.0)
    expected = of_test_fold(plain)
    found = of_test_fold(data)
    assert torch.equal(found["flow"], expected["flow"])  # nothing is mirrored but in training
    data.trainer = _Training()  # type: ignore[assignment]
    batch = {key: value.clone() for key, value in expected.items() if torch.is_tensor(value)}
    found = data.on_after_batch_transfer(batch, 0)
    for key in ("flow", "occluded_flow"):
        turned = expected[key].flip(-1)
        assert torch.equal(found[key][..., 0, :, :], -turned[..., 0, :, :])
        assert torch.equal(found[key][..., 1, :, :], turned[..., 1, :, :])
    with pytest.raises(ValueError, match=r"data\.mirror must lie from 0 to 1, but is 1\.5"):
        OccludedCKPlusDataModule(mirror=1.5)


def test_regions_keep_the_order_in_which_they_are_given(tmp_path: Path) -> None:
    root = tree(tmp_path)
    default, turned = of_test_fold(make(root)), of_test_fold(make(root, regions=("mouth", "eyes")))
    assert not torch.equal(default["occluded_flow"][:, 0], default["occluded_flow"][:, 1])
    assert torch.equal(turned["occluded_flow"], default["occluded_flow"].flip(1))


def test_training_shows_its_regions_and_the_test_all_of_them(tmp_path: Path) -> None:
    write_landmarks(tree(tmp_path))
    data = make(tmp_path, regions=("eyes", "bar", "mouth"), train_regions=("mouth", "eyes"))
    test = of_test_fold(data)
    assert test["occluded_flow"].shape[:2] == test["occluded_face"].shape[:2] == (2, 3)
    data.setup("fit")
    batch = next(iter(data.train_dataloader()))
    data.trainer = SimpleNamespace(training=True, current_epoch=0)  # type: ignore[assignment]
    stored = batch["occluded_flow"].float()
    shown = data.on_after_batch_transfer(batch, 0)
    assert torch.equal(shown["occluded_flow"], stored[:, [2, 0]])
    assert "occluded_face" not in shown
    with pytest.raises(UserError, match=r"data.train_regions .* of data.regions, eyes"):
        make(tmp_path, regions=("eyes",), train_regions=("mouth",))


def test_the_face_is_shown_behind_what_hides_it_and_filled(tmp_path: Path) -> None:
    write_landmarks(tree(tmp_path))
    data = make(tmp_path, regions=("mouth", "mouth_inpainted", "hand"))
    batch = of_test_fold(data)
    faces = batch["occluded_face"]
    assert faces.shape == (2, 3, 3, 32, 32)
    assert faces.min() == 0
    assert faces.max() <= 1
    mouth = (slice(None), slice(24, 25), slice(22, 25))  # 70 to 76 of 96 pixels, 60 to 76
    assert (faces[(0, 0, *mouth)] == 0).all()
    assert (faces[(0, 1, *mouth)] > 0.1).all()
    assert not torch.equal(*batch["occluded_flow"][:, :2].unbind(1))


def test_landmarks_in_a_folder_of_their_archive_make_another_cache(tmp_path: Path) -> None:
    root = tree(tmp_path)
    by_face = of_test_fold(make(root))["occluded_flow"]
    write_landmarks(root, "Landmarks/Landmarks")
    assert not torch.equal(of_test_fold(make(root))["occluded_flow"], by_face)


def test_drawn_boxes_depend_on_the_share_and_not_on_the_run(tmp_path: Path) -> None:
    root = tree(tmp_path)
    regions = ("random", "moving")
    first = make(root, regions=regions, fold_mode="loso")
    again = make(root, regions=regions, fold_mode="loso", seed=1, cache_dir=str(root / "other"))
    larger = make(root, regions=regions, fold_mode="loso", share=0.5)
    flows = [of_test_fold(data)["occluded_flow"] for data in (first, again, larger)]
    assert torch.equal(flows[0], flows[1])
    assert not torch.equal(flows[0], flows[2])


@pytest.mark.parametrize("text", ["", "1 2\n" * 67, "1 nan\n" * 68, "one two\n" * 68])
def test_damaged_landmarks_are_named(tmp_path: Path, text: str) -> None:
    root = ckplus_tree(tmp_path, codes=(5,))
    write_landmarks(root, text=text)
    with pytest.raises(BadSamples, match=r"S001_001_00000001_landmarks\.txt.*no 68 landmarks"):
        make(root).setup("fit")


@pytest.mark.parametrize("regions", [(), ("eyes", "eyes"), ("chin",)])
def test_regions_out_of_range_are_refused(regions: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=r"data\.regions must name one or more of eyes"):
        OccludedCKPlusDataModule(regions=regions)


@pytest.mark.parametrize("share", [0.0, 1.5])
def test_share_out_of_range_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match=rf"data\.share .* is {share}"):
        OccludedCKPlusDataModule(share=share)
