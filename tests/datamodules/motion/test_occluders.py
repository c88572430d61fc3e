"""Things before a face: where they are, that they stay or move, and how they are filled."""

from __future__ import annotations

import numpy as np
import pytest

from datamodules.faces import Box
from datamodules.motion.flow import estimate_flow
from datamodules.motion.occluders import THINGS, inpaint, mean_landmarks, place_thing
from datamodules.synthetic.occluders import Occluder

FACE = Box(60, 50, 180, 180)
LANDMARKS = mean_landmarks(FACE)


@pytest.fixture(scope="module")
def frame() -> np.ndarray:
    rows, columns = np.mgrid[:300, :300]
    wave = 120 + 40 * np.sin(rows / 9) + 30 * np.cos(columns / 7)
    return wave.astype(np.uint8)


def centre(hidden: np.ndarray) -> float:
    return float(np.nonzero(hidden)[1].mean())


@pytest.mark.parametrize("thing", THINGS)
def test_a_thing_covers_a_part_of_the_face_and_is_a_function_of_its_seed(
    frame: np.ndarray, thing: Occluder
) -> None:
    before = frame.copy()
    shown = place_thing(frame, thing, LANDMARKS, progress=0.5, seed=3)
    assert np.array_equal(frame, before)
    assert shown.shape == frame.shape
    face = (shown != frame)[FACE.top : FACE.top + 180, FACE.left : FACE.left + 180]
    assert 0.05 < face.mean() < 0.8
    assert np.array_equal(shown, place_thing(frame, thing, LANDMARKS, progress=0.5, seed=3))
    assert not np.array_equal(shown, place_thing(frame, thing, LANDMARKS, progress=0.5, seed=4))


@pytest.mark.parametrize("thing", THINGS)
def test_what_sits_on_the_face_stays_and_what_passes_moves(
    frame: np.ndarray, thing: Occluder
) -> None:
    first, last = (
        place_thing(frame, thing, LANDMARKS, progress=progress, seed=5) for progress in (0.0, 1.0)
    )
    flow = np.linalg.norm(estimate_flow(first, last, "farneback"), axis=2)
    if thing in ("hand", "bar"):
        assert not np.array_equal(first, last)
        assert np.percentile(flow, 99) > 3
    else:
        assert np.array_equal(first, last)
    if thing == "bar":
        crossed = abs(centre(first != frame) - centre(last != frame))
        assert crossed == pytest.approx(1.6 * 0.43 * FACE.width, rel=0.15)


def test_the_eyes_or_the_mouth_are_hidden(frame: np.ndarray) -> None:
    places = {"sunglasses": [39, 42], "mask": [51, 57], "scarf": [51, 57]}
    for thing, hidden in places.items():
        changed = place_thing(frame, thing, LANDMARKS, progress=0.0, seed=1) != frame  # type: ignore[arg-type]
        x, y = LANDMARKS.round().astype(int).T
        assert changed[y[hidden], x[hidden]].all(), thing
        seen = {"sunglasses": [51, 57], "mask": [19, 24], "scarf": [19, 24]}[thing]
        assert not changed[y[seen], x[seen]].any(), thing


@pytest.mark.parametrize("shape", [(60, 60), (60, 60, 3)])
def test_inpainting_fills_what_is_hidden_from_its_border(shape: tuple[int, ...]) -> None:
    ramp = np.arange(60)[:, None].reshape(60, 1, *(1,) * (len(shape) - 2))
    frame = np.broadcast_to(60 + 2 * ramp, shape).astype(np.uint8)
    hidden = frame.copy()
    hidden[20:40, 20:40] = 0
    filled = inpaint(hidden, frame).astype(int)
    assert np.abs(filled - frame).max() < 20
    outside = np.ones(shape, bool)
    outside[19:41, 19:41] = False
    assert np.array_equal(filled[outside], frame[outside])
    assert np.array_equal(inpaint(frame, frame), frame)
