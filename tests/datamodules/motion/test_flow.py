from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.nn.functional import interpolate

from datamodules.errors import BadSample
from datamodules.motion.flow import ALGORITHMS, estimate_flow, magnitude_statistics, resize_flow


def texture(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    noise = np.random.default_rng(seed).uniform(0, 255, (height, width))
    return cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 2), None, 0, 255, cv2.NORM_MINMAX).astype(
        np.uint8
    )


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_shift_is_found_right_and_down(algorithm: str) -> None:
    scene = texture(80, 100)
    first = scene[8:72, 8:92]
    second = scene[7:71, 6:90]  # what was at (x, y) is at (x + 2, y + 1)
    flow = estimate_flow(first, second, algorithm)
    assert flow.shape == (64, 84, 2)
    assert flow.dtype == np.float32
    middle = flow[16:-16, 16:-16]
    # PCAFlow is a sparse model and less exact than the others.
    assert np.abs(middle.mean(axis=(0, 1)) - (2, 1)).max() < (0.5 if algorithm == "pca" else 0.1)


@pytest.mark.parametrize("algorithm", ["farneback", "dis"])
def test_threads_do_not_disturb_each_other(algorithm: str) -> None:
    pairs = [(texture(64, 64, n), texture(64, 64, n + 50)) for n in range(8)]
    alone = [estimate_flow(*pair, algorithm) for pair in pairs]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda pair: estimate_flow(*pair, algorithm), pairs * 4))
    np.testing.assert_array_equal(together, alone * 4)


def test_unknown_algorithm_names_the_known() -> None:
    image = texture(32, 32)
    with pytest.raises(ValueError, match=r"farneback, dis, deepflow, tvl1, pca, but is 'raft'"):
        estimate_flow(image, image, "raft")


def test_frames_of_two_sizes_are_an_error_that_names_them() -> None:
    with pytest.raises(BadSample, match=r"^a -> b: the frames differ in size"):
        estimate_flow(texture(32, 32), texture(32, 40), name="a -> b")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_flow_that_is_not_finite_names_the_files(
    monkeypatch: pytest.MonkeyPatch, value: float
) -> None:
    spoilt = np.zeros((32, 32, 2), np.float32)
    spoilt[3, 4, 1] = value
    monkeypatch.setattr(cv2, "calcOpticalFlowFarneback", lambda *_, **__: spoilt)
    with pytest.raises(BadSample, match=r"^a -> b: the farneback flow has values"):
        estimate_flow(texture(32, 32), texture(32, 32), name="a -> b")


def test_pca_without_anything_to_follow_names_the_files() -> None:
    blank = np.zeros((64, 64), np.uint8)
    with pytest.raises(BadSample, match=r"^a -> b: the pca flow"):
        estimate_flow(blank, texture(64, 64), "pca", name="a -> b")


@pytest.mark.parametrize(
    ("height", "width", "size", "mode"),
    [(64, 64, 16, "area"), (60, 40, 20, "area"), (16, 16, 32, "bilinear"), (16, 8, 24, "bilinear")],
)
def test_resize_equals_torch_with_each_axis_scaled(
    height: int, width: int, size: int, mode: str
) -> None:
    flow = np.random.default_rng(0).normal(size=(height, width, 2)).astype(np.float32)
    resized = resize_flow(flow, size)
    planes = torch.from_numpy(flow).permute(2, 0, 1)[None]
    expected = interpolate(planes, (size, size), mode=mode)[0].permute(1, 2, 0).numpy()
    expected = expected * np.array([size / width, size / height], np.float32)
    np.testing.assert_allclose(resized, expected, atol=1e-5)
    assert resized.dtype == np.float32


def test_a_resized_flow_is_the_flow_of_resized_images() -> None:
    scene = texture(200, 200)
    first, second = scene[20:180, 20:180], scene[20:180, 12:172]
    half = [cv2.resize(image, (80, 80), interpolation=cv2.INTER_AREA) for image in (first, second)]
    large = resize_flow(estimate_flow(first, second), 80)
    small = estimate_flow(half[0], half[1])
    assert np.abs(large - small)[20:-20, 20:-20].mean() < 0.1


def test_statistics_agree_with_numpy() -> None:
    flows = np.random.default_rng(0).gamma(2.0, 2.0, (6, 2, 32, 32)).astype(np.float16)
    lengths = np.hypot(*flows.astype(np.float32).swapaxes(0, 1))
    found = magnitude_statistics(iter(flows), clip=8.0)
    quartiles = np.quantile(lengths, [0.25, 0.5, 0.75])
    measured = [found["q1"], found["median"], found["q3"]]
    np.testing.assert_allclose(measured, quartiles, atol=8.0 / 500)
    assert found["max"] == pytest.approx(lengths.max())
    assert found["share_clipped"] == pytest.approx((lengths > 8.0).mean())
    np.testing.assert_array_equal(found["histogram"], np.histogram(lengths, found["edges"])[0])
    assert found["edges"][0] == 0
    assert found["edges"][-1] == pytest.approx(16.0)


def test_statistics_of_still_and_of_wild_flows_stay_within_the_longest_vector() -> None:
    still = magnitude_statistics([np.zeros((2, 4, 4), np.float32)])
    assert (still["q1"], still["q3"], still["max"], still["share_clipped"]) == (0, 0, 0, 0)
    wild = magnitude_statistics([np.full((2, 4, 4), 3000.0, np.float32)])
    assert wild["q1"] == wild["max"] == pytest.approx(3000 * 2**0.5)
    assert (wild["share_clipped"], sum(wild["histogram"])) == (1, 0)


def test_statistics_of_nothing_are_an_error() -> None:
    with pytest.raises(ValueError, match="at least one flow"):
        magnitude_statistics([])
