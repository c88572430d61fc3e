from __future__ import annotations

import math

import numpy as np

from datamodules.inputs.smoothing import Smoothing


def test_a_step_is_followed_with_the_time_constant_whatever_the_rate() -> None:
    for rate in (10, 100):
        smoothing = Smoothing(0.5)
        smoothing.update("film", 1, 0.0, np.array([1.0, 0.0]))
        for frame in range(1, rate + 1):  # a second
            mean = smoothing.update("film", 1, frame / rate, np.array([0.0, 1.0]))
        np.testing.assert_allclose(mean, [math.exp(-2), 1 - math.exp(-2)])


def test_people_and_films_are_apart() -> None:
    smoothing = Smoothing(1.0)
    smoothing.update("a", 1, 0.0, np.array([1.0]))
    assert smoothing.update("a", 2, 0.1, np.array([0.0])) == 0
    assert smoothing.update("a", 1, 0.1, np.array([0.0])) > 0.9
    assert smoothing.update("b", 1, 0.2, np.array([0.0])) == 0


def test_who_has_left_is_forgotten() -> None:
    smoothing = Smoothing(1.0)
    for track in range(1_000):
        smoothing.update("a", track, float(track), np.array([1.0]))
    assert len(smoothing._means) < 100
