from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from datamodules.errors import BadSample
from datamodules.faces import LOOSE_MARGIN, crop, detect_face, loose_box
from datamodules.index import Index
from datamodules.labels import Expression
from datamodules.motion.extraction import Extraction
from datamodules.motion.flow import estimate_flow
from datamodules.motion.pairs import CropReader, PairReader, grey, make_pairs, turn
from datamodules.motion.posing import PoseRange, draw_poses, pose_flow
from datamodules.motion.registration import register, register_by_features
from datamodules.recordings import Recording, frame_folder, open_video
from tests.datamodules.test_faces import scene
from tests.datamodules.trees import picture, write_frames, write_video

WHOLE = Extraction(size=16, flow="farneback", crop="none", colour=False)


def of(*recordings: Recording, length: int) -> Index:
    """The index of one sequence."""
    fear = np.array([Expression.FEAR], np.int8)
    return Index(["S1/1"], fear, recordings=[recordings], lengths=np.array([length]))


def sequence(root: Path, frames: int = 4) -> Index:
    write_frames(root / "cam1", person=1, frames=frames)
    write_frames(root / "cam2", person=1, frames=frames, head=3.0)
    return of(frame_folder(root / "cam1"), frame_folder(root / "cam2"), length=frames)


def test_neutral_apex_pairs_come_first_and_once() -> None:
    pairs = make_pairs([4, 2, 3], steps=[1, 3])
    table = list(zip(*(column.tolist() for column in pairs), strict=True))
    assert table[:3] == [(0, 0, 3, True), (1, 0, 1, True), (2, 0, 2, True)]
    # The step of 3 of the first and the step of 1 of the second sequence are those pairs.
    assert table[3:] == [
        (0, 0, 1, False),
        (0, 1, 2, False),
        (0, 2, 3, False),
        (2, 0, 1, False),
        (2, 1, 2, False),
    ]


def test_numbers_of_neutral_apex_pairs_do_not_depend_on_steps() -> None:
    without, many = make_pairs([5, 4], steps=[]), make_pairs([5, 4], steps=range(1, 11))
    assert len(without.sequence) == 2
    np.testing.assert_array_equal(many.sequence[:2], without.sequence)
    assert len(many.sequence) == 2 + (4 + 3 + 2) + (3 + 2)


def test_rows_equal_what_opencv_computes(tmp_path: Path) -> None:
    reader = PairReader(sequence(tmp_path), make_pairs([4], [1]), WHOLE)
    for row, (first, second) in enumerate([(0, 3), (0, 1), (1, 2), (2, 3)]):
        arrays = reader.row(row)
        for name, head in (("flow", 0.0), ("posed_flow", 3.0)):
            frames = [picture(1, index / 3, head * index / 3) for index in (first, second)]
            flow = cv2.resize(estimate_flow(*frames), (16, 16), interpolation=cv2.INTER_AREA) / 2
            expected = flow.transpose(2, 0, 1).astype(np.float16)
            np.testing.assert_array_equal(arrays[name], expected)
        for name, index in (("neutral", first), ("apex", second)):
            small = cv2.resize(picture(1, index / 3), (16, 16), interpolation=cv2.INTER_AREA)
            np.testing.assert_array_equal(arrays[name], small[None])
        assert {name: (a.shape, a.dtype.name) for name, a in arrays.items()} == reader.specs()


def test_one_box_from_the_neutral_frame_keeps_head_motion(tmp_path: Path) -> None:
    """A face that shifts as a whole moves in the crops by as much as in the frames."""
    for index in range(2):
        cv2.imwrite(str(tmp_path / f"img_{index + 1:03d}.png"), scene((150 + 12 * index, 120, 50)))
    extraction = Extraction(size=64, flow="farneback", crop="loose", colour=False)
    reader = CropReader(frame_folder(tmp_path), extraction, box=None)
    first, second = reader.pair(0, 1)
    neutral = scene((150, 120, 50))
    face = detect_face(neutral)
    assert face is not None
    assert reader.box == loose_box(face, LOOSE_MARGIN, neutral.shape)
    np.testing.assert_array_equal(first, crop(neutral, reader.box))
    flow = extraction.estimate(first, second, "flow")
    middle = flow[0, 24:40, 24:40]
    assert np.median(middle) == pytest.approx(12 * 64 / reader.box.width, rel=0.15)


def test_colour_is_kept_and_flow_is_of_grey(tmp_path: Path) -> None:
    for index in range(2):
        image = picture(1, index, colour=True)
        cv2.imwrite(str(tmp_path / f"{index}.png"), image[..., ::-1])
    frames = of(frame_folder(tmp_path), length=2)
    colour = Extraction(size=32, flow="farneback", crop="none", colour=True)
    reader = PairReader(frames, make_pairs([2], []), colour)
    row = reader.row(0)
    np.testing.assert_array_equal(row["apex"], picture(1, 1, colour=True).transpose(2, 0, 1))
    greys = [grey(picture(1, index, colour=True)) for index in range(2)]
    expected = estimate_flow(*greys).transpose(2, 0, 1).astype(np.float16)
    np.testing.assert_array_equal(row["flow"], expected)
    assert reader.specs().keys() == {"flow", "neutral", "apex"}
    assert reader.specs()["apex"].shape == (3, 32, 32)


def test_videos_give_the_rows_of_frames(tmp_path: Path) -> None:
    from_frames = sequence(tmp_path, frames=5)
    for camera, head in (("cam1", 0.0), ("cam2", 3.0)):
        write_video(tmp_path / f"{camera}.avi", person=1, frames=5, head=head)
    videos = (open_video(tmp_path / "cam1.avi"), open_video(tmp_path / "cam2.avi"))
    from_video = of(*videos, length=5)
    pairs = make_pairs([5], [1, 2])
    readers = [PairReader(index, pairs, WHOLE) for index in (from_frames, from_video)]
    for row in range(len(pairs.sequence)):
        frames, video = (reader.row(row) for reader in readers)
        for name in frames:
            np.testing.assert_allclose(video[name], frames[name], atol=0.3 if "w" in name else 2)


def test_registered_flow_is_that_of_the_registered_frame(tmp_path: Path) -> None:
    reader = PairReader(sequence(tmp_path), make_pairs([4], []), WHOLE)
    arrays = reader.registered(0)
    first, second = picture(1, 0.0), picture(1, 1.0, head=3.0)
    expected = WHOLE.estimate(first, register(first, second), "flow").astype(np.float16)
    np.testing.assert_array_equal(arrays["registered_flow"], expected)
    matched = WHOLE.estimate(first, register_by_features(first, second), "flow").astype(np.float16)
    np.testing.assert_array_equal(arrays["feature_registered_flow"], matched)
    np.testing.assert_array_equal(arrays["posed_apex"], WHOLE.image(second))
    assert bool(arrays["converged"]) == (register(first, second) is not second)
    assert {n: (a.shape, a.dtype.name) for n, a in arrays.items()} == reader.registered_specs()


@pytest.mark.parametrize("shape", [(64, 64), (48, 80)])
def test_turned_frame_shows_the_posed_flow(shape: tuple[int, int]) -> None:
    """What the turn does to an image and what `pose_flow` says about it are the same."""
    size = 32
    yy, xx = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    image = (128 + 60 * np.sin(xx / 6) + 60 * np.cos(yy / 5)).astype(np.uint8)
    limits = PoseRange(rotation=8.0, translation=2.0, scale=0.05, noise=0.0)
    motion = draw_poses(torch.tensor([4]), seed=0, epoch=0, limits=limits)
    turned = turn(image, motion[0].numpy(), size)
    flow = pose_flow(torch.zeros(1, 2, size, size), motion)[0].numpy().transpose(1, 2, 0)
    scale = np.array([shape[1] / size, shape[0] / size], np.float32)
    full = cv2.resize(flow, shape[::-1], interpolation=cv2.INTER_LINEAR) * scale
    found = cv2.remap(turned, xx + full[..., 0], yy + full[..., 1], cv2.INTER_LINEAR)
    inside = (slice(14, -14), slice(14, -14))
    assert np.abs(found[inside].astype(float) - image[inside]).mean() < 3
    assert np.abs(turned[inside].astype(float) - image[inside]).mean() > 10


def test_frame_of_another_size_is_bad(tmp_path: Path) -> None:
    write_frames(tmp_path, person=1, frames=2)
    cv2.imwrite(str(tmp_path / "img_002.png"), np.zeros((30, 40), np.uint8))
    reader = CropReader(frame_folder(tmp_path), WHOLE, box=None)
    with pytest.raises(BadSample, match=r"img_002\.png: is 40x30, but the first .* is 32x32"):
        reader.pair(0, 1)


def test_face_not_found_is_bad(tmp_path: Path) -> None:
    write_frames(tmp_path, person=1, frames=2)
    extraction = Extraction(size=16, flow="farneback", crop="loose", colour=False)
    with pytest.raises(BadSample, match=r"img_001\.png: no face was found"):
        CropReader(frame_folder(tmp_path), extraction, box=None)
