import numpy as np
import pytest

from datamodules.synthetic.light import Light, normals, shade

SCALE = 20.0
FLAT = np.zeros((40, 40), np.float32)
WHITE = np.ones_like(FLAT)


def sphere() -> np.ndarray:
    line = (np.arange(40) - 19.5) / SCALE
    x, y = np.meshgrid(line, line)
    return np.sqrt(np.maximum(1.96 - x**2 - y**2, 0.2)).astype(np.float32)


def test_normals_of_a_sphere_are_its_radii() -> None:
    found = normals(sphere(), SCALE)
    line = ((np.arange(40) - 19.5) / SCALE / 1.4).astype(np.float32)
    middle = slice(12, 28)
    np.testing.assert_allclose(found.x[20, middle], line[middle], atol=0.01)
    np.testing.assert_allclose(found.y[middle, 20], line[middle], atol=0.01)
    np.testing.assert_allclose(found.x**2 + found.y**2 + found.z**2, 1, rtol=1e-5)


@pytest.mark.parametrize("azimuth", [-35.0, 35.0])
def test_the_side_towards_the_light_is_brighter(azimuth: float) -> None:
    (lit,) = shade(WHITE[None], normals(sphere(), SCALE), FLAT, Light(azimuth=azimuth), np.eye(3))
    left, right = lit[:, 8:16].mean(), lit[:, 24:32].mean()
    assert (left > right + 0.05) == (azimuth < 0)
    assert (right > left + 0.05) == (azimuth > 0)


def test_gain_scales_the_picture() -> None:
    facing = normals(sphere(), SCALE)
    one, less = (
        shade(WHITE[None], facing, 0.5 * WHITE, Light(gain=g), np.eye(3))[0] for g in (0.8, 0.72)
    )
    # Shadows redden with their depth, which is not linear, but small.
    np.testing.assert_allclose(less / one, 0.9, atol=0.02)


def test_a_turning_head_turns_under_the_light() -> None:
    facing = normals(sphere(), SCALE)
    angle = np.deg2rad(20)
    rotation = np.array(
        [[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]]
    )
    (front,) = shade(WHITE[None], facing, FLAT, Light(azimuth=0), np.eye(3))
    (turned,) = shade(WHITE[None], facing, FLAT, Light(azimuth=0), rotation)
    # The head turns to the right: what faces left of its nose now faces the light.
    assert turned[:, 10].mean() > front[:, 10].mean()


def test_skin_keeps_more_red_in_half_shadow() -> None:
    red, green, blue = shade(
        np.stack([WHITE] * 3), normals(sphere(), SCALE), FLAT, Light(azimuth=-50), np.eye(3)
    )
    assert (red > green).mean() > 0.5
    assert (red >= green - 1e-6).all()
    assert (green >= blue - 1e-6).all()
