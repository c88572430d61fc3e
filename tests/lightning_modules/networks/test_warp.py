from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from lightning_modules.networks.warp import warp


def smooth_image(size: int = 48) -> torch.Tensor:
    axis = torch.linspace(0, 6, size)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    return torch.stack((x.sin() * y.cos(), (x + y).cos(), x.cos()))[None] / 2 + 0.5


def test_no_motion_leaves_the_image():
    image = torch.rand(2, 3, 9, 12)
    torch.testing.assert_close(warp(image, torch.zeros(2, 2, 9, 12)), image)


def test_whole_pixels_move_right_and_down():
    image = torch.rand(1, 3, 10, 11)
    flow = torch.tensor([2.0, 1.0]).view(1, 2, 1, 1).expand(1, 2, 10, 11)
    moved = warp(image, flow)
    torch.testing.assert_close(moved[..., 1:, 2:], image[..., :-1, :-2])


def wave(size: int) -> torch.Tensor:
    axis = torch.arange(size, dtype=torch.float32)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    return 3 * torch.stack(((y / 7).sin() * (x / 9).cos(), (x / 8).sin()))[None]


def test_a_pixel_goes_where_its_flow_points():
    """The moved image, read at p + flow(p) by OpenCV, is the image at p."""
    image, flow = smooth_image(), wave(48)
    moved = warp(image, flow)[0].permute(1, 2, 0).numpy()
    rows, columns = np.mgrid[:48, :48].astype(np.float32)
    back = cv2.remap(
        moved, columns + flow[0, 0].numpy(), rows + flow[0, 1].numpy(), cv2.INTER_LINEAR
    )
    inner = np.s_[6:-6, 6:-6]
    original = image[0].permute(1, 2, 0).numpy()
    assert np.abs(back - original)[inner].max() < 0.01
    assert np.abs(moved - original)[inner].max() > 0.2


def test_fixed_point_steps_bring_the_inverse_nearer():
    image, flow = smooth_image(), wave(48)
    exact = warp(image, flow, iterations=30)
    errors = [
        (warp(image, flow, iterations=steps) - exact)[..., 6:-6, 6:-6].abs().mean().item()
        for steps in (0, 1, 3, 5)
    ]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.05 * errors[0]


def test_gradients_reach_image_and_flow():
    image = smooth_image(16).requires_grad_()
    flow = (0.3 * wave(16)).requires_grad_()
    warp(image, flow).square().sum().backward()
    assert image.grad is not None
    assert flow.grad is not None
    assert image.grad.abs().sum() > 0
    assert flow.grad.abs().sum() > 0
    assert flow.grad.isfinite().all()


def test_the_gradient_of_a_shift_is_minus_that_of_the_image():
    """Moving a ramp of slope s to the right by d lowers every pixel by s * d."""
    ramp = torch.arange(16.0).expand(1, 1, 16, 16) / 16
    shift = torch.tensor(0.5, requires_grad=True)
    flow = torch.stack((shift, torch.zeros(()))).view(1, 2, 1, 1).expand(1, 2, 16, 16)
    warp(ramp, flow)[..., 4:12, 4:12].mean().backward()
    assert shift.grad is not None
    torch.testing.assert_close(shift.grad, torch.tensor(-1 / 16))


def test_a_flow_of_another_size_is_refused():
    with pytest.raises(ValueError, match=r"needs a flow \(1, 2, 8, 8\), got \(1, 2, 8, 9\)"):
        warp(torch.rand(1, 3, 8, 8), torch.rand(1, 2, 8, 9))
