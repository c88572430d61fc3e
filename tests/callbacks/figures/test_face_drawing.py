from __future__ import annotations

import numpy as np

from callbacks.figures.face_drawing import ReadFace, draw_faces
from callbacks.figures.heat import blend_heat

GREY = np.full((600, 800, 3), 128, np.uint8)


def test_heat_changes_only_what_is_hot() -> None:
    heat = np.zeros((600, 800), np.uint8)
    heat[:, 400:] = 255
    blended = blend_heat(GREY, heat)
    np.testing.assert_array_equal(blended[:, :400], GREY[:, :400])
    hot = blended[300, 600].astype(int)
    assert hot[0] > hot[2] + 30  # the hot end of the scale is yellow


def test_heat_fades_evenly() -> None:
    blended = blend_heat(np.full((1, 256, 3), 128, np.uint8), np.arange(256, dtype=np.uint8)[None])
    away = np.abs(blended[0].astype(int) - 128).max(axis=1)
    assert away[:8].max() <= 3
    assert away[-1] > 70
    assert np.abs(np.diff(blended[0].astype(int), axis=0)).max() <= 4


def test_box_and_answer_stand_where_the_face_is() -> None:
    drawn = draw_faces(GREY, [ReadFace((300, 200, 100, 150), "anger 93 %", None)])
    assert drawn.shape == GREY.shape
    y, x = np.nonzero((drawn != 128).any(axis=2))
    assert x.min() >= 297
    assert y.max() <= 352
    assert 150 < y.min() < 195  # the answer is above the box
    np.testing.assert_array_equal(drawn[220:330, 310:390], GREY[220:330, 310:390])


def test_a_face_at_the_border_is_drawn_as_far_as_it_goes() -> None:
    heat = np.full((10, 10), 255, np.uint8)
    boxes = [(-50, -60, 120, 130), (750, 560, 100, 100), (900, 700, 20, 20)]
    drawn = draw_faces(GREY, [ReadFace(box, "surprise 50 %", heat) for box in boxes])
    hot = drawn[:, 800 + 8 : 2 * 800 + 8]
    for panel in (drawn[:, :800], hot):
        assert (panel[:70, :70] != 128).any()
        np.testing.assert_array_equal(panel[200:500, 200:600], GREY[200:500, 200:600])
    assert (hot[580, 780] != 128).any()


def test_a_large_picture_is_reduced() -> None:
    picture = np.full((3000, 4000, 3), 128, np.uint8)
    drawn = draw_faces(picture, [ReadFace((2000, 1500, 1000, 1000), "fear 71 %", None)])
    assert drawn.shape == (960, 1280, 3)
    x = np.nonzero((drawn[600] != 128).any(axis=1))[0]
    assert abs(x.min() - 640) < 4
    assert abs(x.max() - 960) < 4


def test_a_small_picture_is_enlarged_and_its_box_too() -> None:
    picture = np.zeros((48, 48, 3), np.uint8)
    drawn = draw_faces(picture, [ReadFace((12, 24, 24, 24), "fear 71 %", None)])
    assert drawn.shape == (480, 480, 3)
    assert drawn[300, 120].any()  # left edge of the box
    assert not drawn[300, 200].any()
