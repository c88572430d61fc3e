from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from datamodules.motion.flow import estimate_flow
from datamodules.motion.posing import (
    PoseRange,
    draw_noise,
    draw_poses,
    draw_share,
    exchanged,
    mirrored,
    pose_flow,
    uniform_hash,
)

LIMITS = PoseRange(rotation=10.0, translation=4.0, scale=0.05, noise=0.3)


def test_no_motion_leaves_the_flow() -> None:
    flow = torch.randn(2, 2, 8, 8)
    still = torch.eye(2, 3).repeat(2, 1, 1)
    torch.testing.assert_close(pose_flow(flow, still), flow)


def test_shift_adds_to_every_vector() -> None:
    flow = torch.randn(1, 2, 6, 6)
    motion = torch.eye(2, 3)[None].clone()
    motion[0, :, 2] = torch.tensor([3.0, -2.0])
    expected = flow + torch.tensor([3.0, -2.0]).view(1, 2, 1, 1)
    torch.testing.assert_close(pose_flow(flow, motion), expected)


def test_matches_opencv_rotation_matrix_at_each_pixel() -> None:
    size, angle, scale = 9, 12.0, 1.1
    centre = (size - 1) / 2
    # OpenCV turns counter-clockwise with y up, which is clockwise with y down: hence the sign.
    matrix = cv2.getRotationMatrix2D((centre, centre), -angle, scale)
    matrix[:, 2] += (1.5, -0.5)
    rad = np.deg2rad(angle)
    motion = torch.tensor(
        [
            [
                [scale * np.cos(rad), -scale * np.sin(rad), 1.5],
                [scale * np.sin(rad), scale * np.cos(rad), -0.5],
            ]
        ],
        dtype=torch.float32,
    )
    flow = torch.randn(1, 2, size, size)
    posed = pose_flow(flow, motion)[0].numpy()
    for row in range(size):
        for column in range(size):
            start = np.array([column, row], dtype=np.float64)
            end = matrix @ np.append(start + flow[0, :, row, column].numpy(), 1.0)
            np.testing.assert_allclose(posed[:, row, column], end - start, atol=1e-4)


def test_rotated_image_has_the_posed_flow() -> None:
    """The composed flow finds each frontal pixel in the image that OpenCV really turned."""
    size = 48
    yy, xx = np.mgrid[:size, :size].astype(np.float32)
    image = np.sin(xx / 5) + np.cos(yy / 7)
    motion = draw_poses(torch.tensor([5]), seed=1, epoch=0, limits=LIMITS)
    centre = (size - 1) / 2
    linear, shift = motion[0, :, :2].numpy(), motion[0, :, 2].numpy()
    offset = np.array([centre, centre]) + shift - linear @ np.array([centre, centre])
    turned = cv2.warpAffine(
        image, np.column_stack([linear, offset]).astype(np.float64), (size,) * 2
    )
    flow = pose_flow(torch.zeros(1, 2, size, size), motion)[0].numpy()
    found = cv2.remap(turned, xx + flow[0], yy + flow[1], cv2.INTER_LINEAR)
    inside = (slice(12, -12), slice(12, -12))
    np.testing.assert_allclose(found[inside], image[inside], atol=0.05)


def test_draws_belong_to_the_sample_not_to_the_batch() -> None:
    ids = torch.tensor([7, 3, 250, 3])
    poses = draw_poses(ids, seed=4, epoch=2, limits=LIMITS)
    torch.testing.assert_close(poses[1], poses[3], rtol=0, atol=0)
    alone = draw_poses(ids[2:3], seed=4, epoch=2, limits=LIMITS)
    torch.testing.assert_close(poses[2:3], alone, rtol=0, atol=0)
    noise = draw_noise(ids, seed=4, epoch=2, size=8, noise=0.3)
    torch.testing.assert_close(
        noise[:1], draw_noise(ids[:1], seed=4, epoch=2, size=8, noise=0.3), rtol=0, atol=0
    )


@pytest.mark.parametrize("change", [{"seed": 5}, {"epoch": 3}])
def test_seed_and_epoch_give_new_draws(change: dict[str, int]) -> None:
    ids = torch.arange(16)
    base = {"seed": 4, "epoch": 2}
    before = draw_poses(ids, **base, limits=LIMITS)
    after = draw_poses(ids, **{**base, **change}, limits=LIMITS)
    assert (before - after).abs().flatten(1).amax(1).min() > 1e-4


def test_limits_hold_and_are_used() -> None:
    poses = draw_poses(torch.arange(4000), seed=0, epoch=0, limits=LIMITS)
    scale = torch.linalg.det(poses[:, :, :2]).sqrt()
    angle = torch.rad2deg(torch.atan2(poses[:, 1, 0], poses[:, 0, 0]))
    for value, limit in [(angle, 10.0), (scale - 1, 0.05), (poses[:, :, 2], 4.0)]:
        assert value.abs().max() <= limit + 1e-4
        assert value.abs().max() > 0.95 * limit
        assert value.mean().abs() < 0.05 * limit


def test_noise_is_gaussian() -> None:
    noise = draw_noise(torch.arange(4), seed=0, epoch=0, size=64, noise=0.3)
    z = noise.flatten() / 0.3
    assert abs(z.mean()) < 0.02
    assert z.std() == pytest.approx(1.0, abs=0.02)
    assert (z.abs() < 1.96).float().mean() == pytest.approx(0.95, abs=0.01)
    # The two components, and neighbouring pixels, are independent.
    assert abs(torch.corrcoef(noise.transpose(0, 1).flatten(1))[0, 1]) < 0.03
    assert abs(torch.corrcoef(torch.stack([z[:-1], z[1:]]))[0, 1]) < 0.02


def test_uniform_hash_is_uniform_over_keys_and_counts() -> None:
    u = uniform_hash(torch.arange(300), 300)
    assert u.min() > 0
    assert u.max() < 1
    counts = torch.histc(u, 10, 0.0, 1.0) / u.numel()
    torch.testing.assert_close(counts, torch.full((10,), 0.1), atol=0.005, rtol=0)
    correlation = torch.corrcoef(u) - torch.eye(300)
    assert correlation.abs().max() < 0.35  # 5 standard deviations of 300 samples and a little


def test_gradient_reaches_the_flow() -> None:
    flow = torch.randn(1, 2, 4, 4, dtype=torch.float64, requires_grad=True)
    motion = draw_poses(torch.tensor([1]), seed=0, epoch=0, limits=LIMITS).double()
    assert torch.autograd.gradcheck(lambda f: pose_flow(f, motion), (flow,))


def test_a_mirror_turns_the_flow_of_a_mirrored_film() -> None:
    rng = np.random.default_rng(0)
    first = cv2.GaussianBlur(rng.integers(0, 255, (64, 64), np.uint8), (0, 0), 2)
    second = cv2.warpAffine(first, np.float32([[1, 0, 2], [0, 1, 1]]), (64, 64))
    flow, expected = (
        torch.from_numpy(estimate_flow(*pair, "farneback")).permute(2, 0, 1)
        for pair in ((first, second), (first[:, ::-1].copy(), second[:, ::-1].copy()))
    )
    flows = torch.stack([flow, flow])
    found = mirrored(flows, torch.tensor([True, False]))
    assert torch.equal(found[1], flow)
    inside = (slice(None), slice(12, -12), slice(12, -12))
    torch.testing.assert_close(found[0][inside], expected[inside], atol=0.1, rtol=0)
    assert (found[0][inside][0].mean() + 2).abs() < 0.3  # two pixels to the left now
    # All regions of a sample are mirrored together, and twice is not at all.
    regions = flows.unsqueeze(1).expand(-1, 3, -1, -1, -1)
    both = torch.tensor([True, True])
    assert torch.equal(mirrored(mirrored(regions, both), both), regions)


def test_a_share_is_drawn_by_sample_and_epoch() -> None:
    ids = torch.arange(4000)
    chosen = draw_share(ids, seed=0, epoch=0, share=0.3)
    assert 0.27 < chosen.float().mean() < 0.33
    assert torch.equal(draw_share(ids[7:9], seed=0, epoch=0, share=0.3), chosen[7:9])
    assert not torch.equal(draw_share(ids, seed=0, epoch=1, share=0.3), chosen)
    assert draw_share(ids, seed=0, epoch=0, share=1.0).all()
    assert not draw_share(ids, seed=0, epoch=0, share=0.0).any()


def test_chosen_samples_get_the_head_motion_before_them() -> None:
    flow, head = torch.randn(3, 2, 8, 8), torch.randn(3, 2, 1, 1)
    found = exchanged(flow, flow + head, torch.tensor([True, False, True]))
    torch.testing.assert_close(found, flow + head[[2, 1, 1]])


def test_choices_of_two_streams_are_independent() -> None:
    samples = torch.arange(4000)
    one, two = (draw_share(samples, seed=0, epoch=0, share=0.5, stream=s) for s in (2, 4))
    assert 0.2 < (one & two).float().mean() < 0.3
