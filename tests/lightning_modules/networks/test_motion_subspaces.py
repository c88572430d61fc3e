"""The split of a posed flow into what the face does and what the head does."""

from __future__ import annotations

import torch

from datamodules.batch import mirror_flow
from lightning_modules.networks.motion_subspaces import MotionSubspaces

SIZE = 16


def motions(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Corners of the mouth that move, and a head that turns and shifts."""
    y, x = torch.meshgrid(torch.linspace(-1, 1, SIZE), torch.linspace(-1, 1, SIZE), indexing="ij")
    corners = torch.exp(-20 * ((x.abs() - 0.2) ** 2 + (y - 0.3) ** 2))
    patterns = torch.stack((torch.stack((corners, 0 * x)), torch.stack((0 * x, corners))))
    facial = torch.einsum("np,pchw->nchw", torch.randn(count, 2), patterns)
    turns = torch.stack((torch.stack((-y, x)), torch.stack((x, y))))
    head = torch.einsum("np,pchw->nchw", torch.randn(count, 2), turns)
    return facial, head + torch.randn(count, 2, 1, 1)


def test_face_and_head_are_told_apart_in_new_flows():
    subspaces = MotionSubspaces(SIZE)
    facial, head = motions(200)
    subspaces.fit(facial, facial + head)
    facial, head = motions(10)
    found, rest = subspaces(facial + head)
    # The noise that is allowed for shrinks what is found a little.
    assert (found - facial).abs().mean() < 0.2 * facial.abs().mean()
    assert (rest - head).abs().mean() < 0.1 * head.abs().mean()


def test_the_split_is_the_most_probable_one():
    """Against the normal equations of the weighted least squares, written out."""
    subspaces = MotionSubspaces(SIZE).double()
    facial, head = (motion.double() for motion in motions(50))
    subspaces.fit(facial, facial + head)
    posed = (facial + head)[:3] + torch.randn(3, 2, SIZE, SIZE, dtype=torch.double)
    basis, window = subspaces.components.T, subspaces.window
    noise = 2.0 * (SIZE / 128) ** 2
    normal = basis.T @ (window[:, None] * basis) + noise * torch.eye(basis.shape[1])
    for flow, found in zip(posed, subspaces(posed.float())[0], strict=True):
        wanted = basis.T @ (window * (flow.flatten() - subspaces.mean))
        coefficients = torch.linalg.solve(normal, wanted)
        expected = subspaces.mean + basis[:, :60] @ coefficients[:60]
        torch.testing.assert_close(found.flatten(), expected, atol=1e-4, rtol=1e-3)


def test_a_face_in_a_mirror_is_split_alike():
    subspaces = MotionSubspaces(SIZE)
    facial, head = motions(50)
    subspaces.fit(facial, facial + head)
    posed = (facial + head)[:4]
    found, expected = subspaces(mirror_flow(posed))[0], mirror_flow(subspaces(posed)[0])
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-2)


def test_nothing_learnt_splits_nothing():
    subspaces = MotionSubspaces(SIZE)
    assert not subspaces.fitted
    for motion in subspaces(torch.randn(2, 2, SIZE, SIZE)):
        assert not motion.any()


def test_a_split_survives_a_checkpoint():
    subspaces, copy = MotionSubspaces(SIZE), MotionSubspaces(SIZE)
    facial, head = motions(30)
    subspaces.fit(facial, facial + head)
    copy.load_state_dict(subspaces.state_dict())
    assert copy.fitted
    torch.testing.assert_close(copy(facial + head), subspaces(facial + head))
