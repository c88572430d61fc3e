from __future__ import annotations

import torch

from lightning_modules.networks.head_motion import fit_frontal_flow, remove_head_motion


def coordinates(size: int) -> tuple[torch.Tensor, torch.Tensor]:
    line = torch.linspace(-1, 1, size)
    y, x = torch.meshgrid(line, line, indexing="ij")
    return x, y


def rigid(size: int) -> torch.Tensor:
    """A turn, a shift, a growth and the quadratic terms of a tilted plane."""
    x, y = coordinates(size)
    u = 3.0 - 0.8 * y + 0.3 * x + 0.5 * x * x + 0.2 * x * y
    v = -1.5 + 0.8 * x + 0.3 * y + 0.5 * x * y + 0.2 * y * y
    return torch.stack((u, v)).unsqueeze(0)


def test_nothing_is_left_of_a_rigid_motion():
    assert remove_head_motion(rigid(64)).abs().max() < 0.02


def test_a_mouth_that_moves_on_its_own_is_left():
    x, y = coordinates(64)
    mouth = 2.0 * torch.exp(-((x / 0.15) ** 2 + ((y - 0.3) / 0.1) ** 2))
    moved = torch.stack((torch.zeros_like(mouth), mouth)).unsqueeze(0)
    left = remove_head_motion(rigid(64) + moved)
    inside = (x / 0.5) ** 2 + (y / 0.6) ** 2 < 1
    assert (left - moved)[..., inside].abs().max() < 0.15


def test_a_grid_of_half_the_size_leaves_half():
    x, y = coordinates(128)
    mouth = 2.0 * torch.exp(-((x / 0.2) ** 2 + ((y - 0.3) / 0.2) ** 2))
    flow = rigid(128) + torch.stack((torch.zeros_like(mouth), mouth))
    halve = torch.nn.AvgPool2d(2)
    left, small = remove_head_motion(flow), remove_head_motion(halve(flow) / 2)
    x, y = coordinates(64)
    inside = (x / 0.5) ** 2 + (y / 0.6) ** 2 < 1
    difference = (halve(left) / 2 - small)[..., inside]
    assert difference.abs().max() < 0.05 * small[..., inside].abs().max()


def test_no_gradient_passes():
    flow = rigid(32).requires_grad_()
    assert not remove_head_motion(flow).requires_grad


def test_the_fitted_flow_is_what_is_left_in_the_face_and_nothing_in_the_corners():
    x, y = coordinates(64)
    mouth = 2.0 * torch.exp(-((x / 0.15) ** 2 + ((y - 0.3) / 0.1) ** 2))
    flow = rigid(64) + torch.stack((torch.zeros_like(mouth), mouth))
    fitted, left = fit_frontal_flow(flow), remove_head_motion(flow)
    inside = (x / 0.5) ** 2 + (y / 0.6) ** 2 < 0.3
    torch.testing.assert_close(fitted[..., inside], left[..., inside], rtol=0.1, atol=1e-3)
    flow[..., :4, :4] += 3  # the background moves on its own
    assert fit_frontal_flow(flow)[..., :4, :4].abs().max() < 1e-3
