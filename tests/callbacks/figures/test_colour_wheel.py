from __future__ import annotations

import colorsys
import math

import numpy as np
import pytest

from callbacks.figures.colour_wheel import colour_wheel, draw_wheel, flow_to_rgb, wheel
from callbacks.figures.pictures import new_figure


def uniform(u: float, v: float) -> np.ndarray:
    return np.full((2, 1, 1), 0.0, dtype=np.float32) + np.array([u, v], np.float32)[:, None, None]


def colour_of(u: float, v: float, max_magnitude: float = 1.0) -> list[int]:
    return flow_to_rgb(uniform(u, v), max_magnitude=max_magnitude)[0, 0].tolist()


def published_colour(u: float, v: float) -> list[int]:
    """Transcription of computeColor and makecolorwheel of Middlebury's colorcode.cpp."""
    wheel = []
    wheel += [(255, 255 * i // 15, 0) for i in range(15)]
    wheel += [(255 - 255 * i // 6, 255, 0) for i in range(6)]
    wheel += [(0, 255, 255 * i // 4) for i in range(4)]
    wheel += [(0, 255 - 255 * i // 11, 255) for i in range(11)]
    wheel += [(255 * i // 13, 0, 255) for i in range(13)]
    wheel += [(255, 0, 255 - 255 * i // 6) for i in range(6)]
    rad = math.sqrt(u * u + v * v)
    fk = (math.atan2(-v, -u) / math.pi + 1.0) / 2.0 * (len(wheel) - 1)
    k0 = int(fk)
    k1 = (k0 + 1) % len(wheel)
    f = fk - k0
    pixel = []
    for b in range(3):
        col = (1 - f) * (wheel[k0][b] / 255.0) + f * (wheel[k1][b] / 255.0)
        col = 1 - rad * (1 - col) if rad <= 1 else col * 0.75
        pixel.append(int(255.0 * col))
    return pixel


def test_wheel_has_the_published_arcs_and_is_saturated() -> None:
    wheel = colour_wheel()
    assert wheel.shape == (55, 3)
    corners = {0: "ff0000", 15: "ffff00", 21: "00ff00", 25: "00ffff", 36: "0000ff", 49: "ff00ff"}
    assert {i: bytes(wheel[i]).hex() for i in corners} == corners
    assert (wheel.max(axis=1) == 255).all()
    assert (wheel.min(axis=1) == 0).all()
    hues = [colorsys.rgb_to_hsv(*(colour / 255.0))[0] for colour in wheel]
    assert hues == sorted(hues)


def test_colours_are_those_of_the_published_code() -> None:
    # Multiples of 1/8 are exact in single precision, so both sides see the same number.
    motions = np.random.default_rng(0).integers(-10, 11, size=(200, 2)) / 8
    for u, v in motions:
        assert colour_of(u, v) == published_colour(u, v)


def test_no_motion_is_white() -> None:
    assert colour_of(0, 0) == [255, 255, 255]


def test_saturation_is_the_length_over_the_scale() -> None:
    for share in (0.25, 0.5, 1.0):
        saturation = colorsys.rgb_to_hsv(*(c / 255 for c in colour_of(share * 8, 0, 8.0)))[1]
        assert saturation == pytest.approx(share, abs=0.01)


def test_hue_is_the_direction_whatever_the_length() -> None:
    for angle in np.linspace(0.1, 2 * np.pi, 12):
        u, v = np.cos(angle), np.sin(angle)
        hues = [
            colorsys.rgb_to_hsv(*(c / 255 for c in colour_of(length * u, length * v)))[0]
            for length in (0.5, 0.99)
        ]
        # Hues turn round, and eight bits leave a little noise.
        assert abs((hues[0] - hues[1] + 0.5) % 1 - 0.5) < 0.01


def test_flow_in_pixels_and_scale_in_pixels_share_a_unit() -> None:
    assert colour_of(3, -2, 5.0) == colour_of(0.6, -0.4, 1.0)


def test_beyond_the_scale_is_darkened() -> None:
    assert max(colour_of(2, 0)) == 191
    assert max(colour_of(0.99, 0)) == 255


def test_channel_zero_is_right_and_channel_one_is_down() -> None:
    assert colour_of(1, 0) == [255, 0, 0]  # the seam of the wheel
    assert colour_of(0, 1) == [255, 229, 0]  # half way between colours 13 and 14


def test_wheel_shows_each_motion_in_its_colour() -> None:
    legend = wheel(101)
    assert legend[50, 50].tolist() == [255, 255, 255]
    assert legend[0, 0].tolist() == [255, 255, 255]
    right = (np.arange(101)[90] + 0.5) / 101 * 2 - 1
    assert legend[50, 90].tolist() == colour_of(right, 0)
    assert legend[90, 50].tolist() == colour_of(0, right)


def test_the_scale_is_said_on_the_wheel() -> None:
    axes = new_figure(2, 2).add_subplot()
    draw_wheel(axes, max_magnitude=3.0)
    assert {"1.5 px", "3 px", "right"} <= {text.get_text() for text in axes.texts}
    assert [axes.get_title(), axes.get_ylabel()] == ["up", "left"]


@pytest.mark.parametrize(
    ("flow", "scale", "said"),
    [
        (np.zeros((4, 4, 2), np.float32), 1.0, r"\[4, 4, 2\]"),
        (np.zeros((2, 4, 4), np.float32), 0.0, "above 0 px"),
        (np.full((2, 4, 4), np.nan, np.float32), 1.0, "NaN"),
    ],
)
def test_what_cannot_be_drawn_is_said(flow: np.ndarray, scale: float, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        flow_to_rgb(flow, max_magnitude=scale)
