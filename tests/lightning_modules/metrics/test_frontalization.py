from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from datamodules.faces import LOOSE_MARGIN
from lightning_modules.metrics.frontalization import (
    FACE_SHARE,
    FrontalizationQuality,
    measure_face,
    measure_flow,
)
from lightning_modules.metrics.means import take


def flows(size: int) -> tuple[torch.Tensor, ...]:
    shape = (size, 2, 32, 32)
    logits, judged = torch.randn(2, size, 3).unbind()
    return torch.randn(shape), torch.randn(shape), logits, judged, torch.arange(size) % 3


def test_flows_are_measured_as_numpy_would() -> None:
    flow, true, logits, judged, label = flows(5)
    got = measure_flow(flow, true, logits, judged, label)
    # In pixels of a 128x128 grid, of which these flows of 32x32 have a quarter.
    error = 4 * np.linalg.norm((flow - true).numpy(), axis=1)
    np.testing.assert_allclose(got["epe_px"], error.mean((1, 2)), rtol=1e-5)
    # The box of the face is 20 of the 32 pixels of a loose crop wide.
    np.testing.assert_allclose(got["epe_face_px"], error[:, 6:26, 6:26].mean((1, 2)), rtol=1e-5)
    truth = label.numpy()
    np.testing.assert_array_equal(got["accuracy"], logits.numpy().argmax(1) == truth)
    np.testing.assert_array_equal(got["judge_accuracy"], judged.numpy().argmax(1) == truth)
    shares = np.exp(judged.numpy())
    shares /= shares.sum(1, keepdims=True)
    np.testing.assert_allclose(got["judge_confidence"], shares[np.arange(5), truth], rtol=1e-5)


def test_the_face_is_where_the_loose_crop_has_it() -> None:
    assert FACE_SHARE == 1 / LOOSE_MARGIN
    flow, _, logits, judged, label = flows(2)
    beside = flow.clone()
    beside[:, :, :6] += 1
    got = measure_flow(beside, flow, logits, judged, label)
    assert got["epe_px"].min() > 0
    assert got["epe_face_px"].max() == 0


def test_faces_are_measured_as_scikit_image_would() -> None:
    face, noise = torch.rand(2, 5, 3, 32, 32).unbind()
    apex = 0.7 * face + 0.3 * noise
    got = measure_face(face, apex)
    pairs = [(a.numpy(), b.numpy()) for a, b in zip(face, apex, strict=True)]
    roots = [np.sqrt(np.mean((255 * a - 255 * b) ** 2)) for a, b in pairs]
    np.testing.assert_allclose(got["rmse"], roots, rtol=1e-5)
    ssims = [
        structural_similarity(
            a,
            b,
            channel_axis=0,
            data_range=1.0,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            full=True,
        )[1][:, 5:-5, 5:-5].mean()
        for a, b in pairs
    ]
    # scikit-image pads otherwise, so borders are left out there and may differ by a little.
    assert 0.3 < got["ssim"].mean() < 0.9
    np.testing.assert_allclose(got["ssim"], ssims, atol=0.02)
    same = measure_face(face, face)
    assert same["rmse"].max() == 0
    np.testing.assert_allclose(same["ssim"], 1, atol=1e-6)


def test_means_are_over_samples_and_rows_without_samples_are_left_out() -> None:
    flow, true, logits, judged, label = flows(5)
    table = FrontalizationQuality(("posed", "fit"), ("posed",))
    parts = [slice(0, 2), slice(2, 5)]  # of unequal size: a mean of means would show
    named = [
        table.count(
            "posed",
            measure_flow(*(tensor[part] for tensor in (flow, true, logits, judged, label))),
        )
        for part in parts
    ]
    whole = measure_flow(flow, true, logits, judged, label)
    got = take(table)
    assert set(got) == {f"posed_{name}" for name in whole} == set(named[0])
    for name, values in whole.items():
        assert got[f"posed_{name}"].item() == pytest.approx(values.mean().item(), rel=1e-5)
    assert take(table) == {}
