from __future__ import annotations

import numpy as np
import pytest

from datamodules.faces import Box
from datamodules.motion.occluders import mean_landmarks
from datamodules.motion.occlusion import BOXES, occlude, occlusion_boxes

STATIC = [region for region in BOXES if region != "moving"]
FACE = Box(100, 60, 200, 200)


def covers(box: Box, points: np.ndarray) -> np.ndarray:
    x, y = points.T
    inside = (x >= box.left) & (x <= box.left + box.width)
    return inside & (y >= box.top) & (y <= box.top + box.height)


def overlap(one: Box, other: Box) -> float:
    """Intersection over union."""
    pictures = []
    for box in (one, other):
        pictures.append(occlude(np.full((400, 400), 1, np.uint8), box) == 0)
    return float((pictures[0] & pictures[1]).sum() / (pictures[0] | pictures[1]).sum())


@pytest.mark.parametrize(
    ("region", "hidden", "seen"),
    [
        ("eyes", [*range(17, 27), *range(36, 48)], [*range(31, 36), *range(48, 68), 8]),
        ("mouth", list(range(48, 68)), [*range(17, 31), *range(36, 48)]),
        ("nose", list(range(28, 36)), [*range(17, 27), *range(36, 68)]),
        ("left_half", [*range(8), *range(17, 22), *range(36, 42)], [*range(9, 17), *range(42, 48)]),
        (
            "right_half",
            [*range(9, 17), *range(22, 27), *range(42, 48)],
            [*range(8), *range(36, 42)],
        ),
    ],
)
@pytest.mark.parametrize("placed_from", ["landmarks", "face"])
def test_a_box_hides_its_region_and_no_other(
    region: str, hidden: list[int], seen: list[int], placed_from: str
) -> None:
    points = mean_landmarks(FACE)
    where = {"landmarks": points} if placed_from == "landmarks" else {"face": FACE}
    [box] = occlusion_boxes(region, 1, **where)
    assert covers(box, points)[hidden].all()
    assert not covers(box, points)[seen].any()


@pytest.mark.parametrize("region", ["eyes", "mouth", "nose", "left_half", "right_half"])
def test_landmarks_and_face_place_about_the_same_box(region: str) -> None:
    [from_points] = occlusion_boxes(region, 1, landmarks=mean_landmarks(FACE))
    [from_face] = occlusion_boxes(region, 1, face=FACE)
    assert overlap(from_points, from_face) > 0.75


def test_landmarks_go_before_the_face() -> None:
    elsewhere = Box(0, 0, 10, 10)
    boxes = occlusion_boxes("mouth", 1, landmarks=mean_landmarks(FACE), face=elsewhere)
    assert boxes == occlusion_boxes("mouth", 1, landmarks=mean_landmarks(FACE))


@pytest.mark.parametrize("region", BOXES)
def test_boxes_move_and_grow_with_the_face(region: str) -> None:
    points = mean_landmarks(FACE)
    before = np.array(occlusion_boxes(region, 4, landmarks=points, seed=3))
    shifted = np.array(occlusion_boxes(region, 4, landmarks=points + np.array([40, -25]), seed=3))
    np.testing.assert_array_equal(shifted, before + np.array([40, -25, 0, 0]))
    larger = np.array(occlusion_boxes(region, 4, landmarks=2 * points, seed=3))
    np.testing.assert_allclose(larger, 2 * before, atol=3)


@pytest.mark.parametrize("region", STATIC)
def test_static_boxes_are_the_same_on_every_frame(region: str) -> None:
    boxes = occlusion_boxes(region, 7, face=FACE)
    assert len(boxes) == 7
    assert len(set(boxes)) == 1


@pytest.mark.parametrize("seed", range(6))
def test_a_moving_box_crosses_the_face_without_changing_its_size(seed: int) -> None:
    boxes = np.array(occlusion_boxes("moving", 9, face=FACE, share=0.2, seed=seed))
    left, right = FACE.left + 0.04 * FACE.width, FACE.left + 0.94 * FACE.width
    ends = sorted([boxes[0, 0], boxes[-1, 0]])
    np.testing.assert_allclose([ends[0], ends[1] + boxes[0, 2]], [left, right], atol=2)
    steps = np.diff(boxes[:, 0])
    assert (steps > 0).all() or (steps < 0).all()
    assert len({tuple(row[1:]) for row in boxes.tolist()}) == 1


def test_moving_boxes_come_from_both_sides() -> None:
    starts = {occlusion_boxes("moving", 2, face=FACE, seed=seed)[0].left for seed in range(20)}
    assert len(starts) == 2


@pytest.mark.parametrize("share", [0.1, 0.25, 0.6, 1.0])
@pytest.mark.parametrize("region", ["random", "moving"])
def test_a_share_of_the_face_is_covered(region: str, share: float) -> None:
    whole = 0.90 * FACE.width * 0.97 * FACE.height  # both halves together
    for seed in range(20):
        for box in occlusion_boxes(region, 3, face=FACE, share=share, seed=seed):
            assert box.width * box.height == pytest.approx(share * whole, rel=0.06)
            assert box.left >= FACE.left - 1
            assert box.left + box.width <= FACE.left + FACE.width + 1


def test_random_boxes_are_a_function_of_the_seed() -> None:
    def draw(*seed: int) -> Box:
        return occlusion_boxes("random", 1, face=FACE, seed=seed)[0]

    assert draw(3, 5) == draw(3, 5)
    assert len({draw(3, sample) for sample in range(10)}) == 10
    assert draw(3, 5) != draw(4, 5)


def test_occlude_is_black_inside_and_the_same_outside() -> None:
    frame = np.random.default_rng(0).integers(1, 255, (30, 40), np.uint8)
    before = frame.copy()
    occluded = occlude(frame, Box(5, 7, 10, 4))
    np.testing.assert_array_equal(frame, before)
    mask = np.zeros_like(frame, bool)
    mask[7:11, 5:15] = True
    assert (occluded[mask] == 0).all()
    np.testing.assert_array_equal(occluded[~mask], frame[~mask])


@pytest.mark.parametrize(
    ("box", "rows", "columns"),
    [
        (Box(-5, -5, 8, 9), slice(0, 4), slice(0, 3)),
        (Box(35, 25, 20, 20), slice(25, 30), slice(35, 40)),
        (Box(-9, 3, 9, 5), slice(0, 0), slice(0, 0)),
        (Box(50, 3, 9, 5), slice(0, 0), slice(0, 0)),
    ],
)
def test_what_sticks_out_is_cut_off(box: Box, rows: slice, columns: slice) -> None:
    frame = np.full((30, 40, 3), 9, np.uint8)
    expected = frame.copy()
    expected[rows, columns] = 0
    np.testing.assert_array_equal(occlude(frame, box), expected)


def test_what_cannot_be_placed_is_refused() -> None:
    with pytest.raises(ValueError, match=r"eyes, mouth, nose.*'chin'"):
        occlusion_boxes("chin", 1, face=FACE)
    with pytest.raises(ValueError, match="needs landmarks or the box"):
        occlusion_boxes("eyes", 1)
    with pytest.raises(ValueError, match=r"\(51, 2\)"):
        occlusion_boxes("eyes", 1, landmarks=np.zeros((51, 2)))
    points = mean_landmarks(FACE)
    points[3, 1] = np.nan
    with pytest.raises(ValueError, match="1 values not finite"):
        occlusion_boxes("eyes", 1, landmarks=points)
    for share in (0.0, 1.5):
        with pytest.raises(ValueError, match="above 0 and up to 1"):
            occlusion_boxes("random", 1, face=FACE, share=share)
