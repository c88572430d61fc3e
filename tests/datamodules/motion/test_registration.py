import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from datamodules.motion.registration import register


def texture(side: int, seed: int) -> NDArray[np.uint8]:
    noise = np.random.default_rng(seed).uniform(0, 255, (side, side))
    return cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 8), None, 0, 255, cv2.NORM_MINMAX).astype(
        np.uint8
    )


@pytest.mark.parametrize(
    ("angle", "scale", "shift"), [(0, 1.0, (3, -2)), (10, 1.0, (0, 0)), (5, 0.95, (18, 12))]
)
def test_affine_motion_is_undone(angle: float, scale: float, shift: tuple[float, float]) -> None:
    first = texture(160, seed=0)
    affine = cv2.getRotationMatrix2D((80, 80), angle, scale)
    affine[:, 2] += shift
    second = cv2.warpAffine(first, affine, (160, 160), borderMode=cv2.BORDER_REFLECT)
    registered = register(first, second)
    assert registered.shape == first.shape
    assert registered.dtype == np.uint8

    def error(image: NDArray[np.uint8]) -> float:
        return float(np.abs(image.astype(int) - first)[40:-40, 40:-40].mean())

    assert error(registered) < 0.1 * error(second)


def test_what_does_not_converge_comes_back_as_it_is() -> None:
    blank = np.zeros((64, 64), np.uint8)
    second = texture(64, seed=0)
    assert register(blank, second) is second
