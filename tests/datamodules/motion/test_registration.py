from collections.abc import Callable

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from datamodules.motion.registration import register, register_by_features

Registration = Callable[[NDArray[np.uint8], NDArray[np.uint8]], NDArray[np.uint8]]


def texture(side: int, seed: int, blur: float = 8) -> NDArray[np.uint8]:
    noise = np.random.default_rng(seed).uniform(0, 255, (side, side))
    smooth = cv2.GaussianBlur(noise, (0, 0), blur)
    return cv2.normalize(smooth, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)


@pytest.mark.parametrize(
    ("angle", "scale", "shift"), [(0, 1.0, (3, -2)), (10, 1.0, (0, 0)), (5, 0.95, (18, 12))]
)
@pytest.mark.parametrize(("registration", "blur"), [(register, 8), (register_by_features, 2)])
def test_affine_motion_is_undone(
    registration: Registration, blur: float, angle: float, scale: float, shift: tuple[float, float]
) -> None:
    first = texture(160, seed=0, blur=blur)
    affine = cv2.getRotationMatrix2D((80, 80), angle, scale)
    affine[:, 2] += shift
    second = cv2.warpAffine(first, affine, (160, 160), borderMode=cv2.BORDER_REFLECT)
    registered = registration(first, second)
    assert registered.shape == first.shape
    assert registered.dtype == np.uint8

    def error(image: NDArray[np.uint8]) -> float:
        return float(np.abs(image.astype(int) - first)[40:-40, 40:-40].mean())

    assert error(registered) < 0.1 * error(second)


def test_features_follow_what_most_of_the_picture_does() -> None:
    first = texture(160, seed=0, blur=2)
    second = cv2.warpAffine(first, np.array([[1, 0, 6.0], [0, 1, -4.0]]), (160, 160))
    second[60:100, 60:100] = texture(40, seed=1, blur=2)  # a mouth that moves by itself
    found = register_by_features(first, second)
    ring = np.ones((160, 160), bool)
    ring[40:-40, 40:-40] = False
    ring[:15] = ring[-15:] = ring[:, :15] = ring[:, -15:] = False
    off = np.abs(found.astype(int) - first)[ring].mean()
    assert off < 0.15 * np.abs(second.astype(int) - first)[ring].mean()


@pytest.mark.parametrize("registration", [register, register_by_features])
def test_what_does_not_converge_comes_back_as_it_is(registration: Registration) -> None:
    blank = np.zeros((64, 64), np.uint8)
    second = texture(64, seed=0)
    assert registration(blank, second) is second
