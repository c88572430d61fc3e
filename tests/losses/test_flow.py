from __future__ import annotations

import math

import pytest
import torch

from losses.flow import (
    CharbonnierLoss,
    EndpointError,
    charbonnier_loss,
    endpoint_error,
    vector_length,
)


@pytest.fixture
def flows() -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(3, 2, 5, 4), torch.randn(3, 2, 5, 4)


def test_lengths_and_their_gradients_are_those_of_a_hypotenuse():
    flow = torch.randn(2, 2, 3, 4)
    flow[:, :, 0] = 0
    flow.requires_grad_()
    length = vector_length(flow)
    torch.testing.assert_close(length, torch.hypot(*flow.unbind(1)))
    length.sum().backward()
    expected = torch.nn.functional.normalize(flow.detach(), dim=1)  # 0 where there is no motion
    torch.testing.assert_close(flow.grad, expected)


def test_endpoint_error_of_a_known_triangle():
    pred = torch.tensor([3.0, 4.0]).view(1, 2, 1, 1).expand(2, 2, 3, 3)
    assert endpoint_error(pred, torch.zeros_like(pred)).item() == 5.0


def test_endpoint_error_agrees_with_pairwise_distance(flows):
    pred, target = flows
    columns = [flow.permute(0, 2, 3, 1).reshape(-1, 2) for flow in flows]
    expected = torch.nn.functional.pairwise_distance(*columns, eps=0.0)
    torch.testing.assert_close(endpoint_error(pred, target), expected.mean())
    torch.testing.assert_close(endpoint_error(pred, target, reduction="sum"), expected.sum())
    torch.testing.assert_close(
        endpoint_error(pred, target, reduction="none"), expected.reshape(3, 5, 4)
    )


def test_endpoint_error_is_a_distance(flows):
    pred, target = flows
    other = torch.randn_like(pred)
    assert endpoint_error(pred, pred) == 0
    assert endpoint_error(pred, target) == endpoint_error(target, pred)
    assert endpoint_error(pred, target) <= (
        endpoint_error(pred, other) + endpoint_error(other, target)
    )
    torch.testing.assert_close(
        endpoint_error(3 * pred, 3 * target), 3 * endpoint_error(pred, target)
    )


def test_endpoint_error_does_not_see_a_common_rotation(flows):
    turn = torch.tensor([[0.0, -1.0], [1.0, 0.0]])
    turned = [torch.einsum("ij,bjhw->bihw", turn, flow) for flow in flows]
    torch.testing.assert_close(endpoint_error(*turned), endpoint_error(*flows))


def test_endpoint_error_has_the_gradient_zero_where_flows_agree():
    pred = torch.zeros(1, 2, 2, 2, requires_grad=True)
    endpoint_error(pred, torch.zeros(1, 2, 2, 2)).backward()
    assert pred.grad is not None
    assert torch.equal(pred.grad, torch.zeros_like(pred))


def test_charbonnier_of_known_values():
    flow = torch.zeros(1, 2, 3, 3)
    torch.testing.assert_close(
        charbonnier_loss(flow + 0.03, flow, epsilon=0.04), torch.tensor(0.05)
    )
    torch.testing.assert_close(charbonnier_loss(flow, flow), torch.tensor(0.01))


def test_charbonnier_agrees_with_hypot(flows):
    pred, target = flows
    expected = torch.hypot(pred - target, torch.tensor(0.3))
    torch.testing.assert_close(charbonnier_loss(pred, target, epsilon=0.3), expected.mean())
    torch.testing.assert_close(
        charbonnier_loss(pred, target, epsilon=0.3, reduction="none"), expected
    )


def test_charbonnier_is_quadratic_near_and_linear_far():
    zero = torch.zeros(1, 2, 1, 1)
    near, far, epsilon = 1e-3, 1e3, 1.0
    excess = charbonnier_loss(zero.double() + near, zero.double(), epsilon=epsilon) - epsilon
    assert excess.item() == pytest.approx(near**2 / (2 * epsilon), rel=1e-4)
    assert charbonnier_loss(zero + far, zero, epsilon=epsilon).item() == pytest.approx(far)


@pytest.mark.parametrize("loss", [endpoint_error, charbonnier_loss])
def test_gradients_agree_with_finite_differences(loss):
    pred = torch.randn(2, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    target = torch.randn(2, 2, 3, 3, dtype=torch.float64)
    assert torch.autograd.gradcheck(loss, (pred, target))


@pytest.mark.parametrize("loss", [endpoint_error, charbonnier_loss])
def test_half_precision_is_compared_in_single(loss, flows):
    pred, target = (flow.bfloat16() for flow in flows)
    assert loss(pred, target).dtype == torch.float32
    torch.testing.assert_close(loss(pred, target), loss(pred.float(), target.float()))


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_modules_equal_functions(flows, reduction):
    torch.testing.assert_close(
        EndpointError(reduction=reduction)(*flows), endpoint_error(*flows, reduction=reduction)
    )
    torch.testing.assert_close(
        CharbonnierLoss(epsilon=0.2, reduction=reduction)(*flows),
        charbonnier_loss(*flows, epsilon=0.2, reduction=reduction),
    )


@pytest.mark.parametrize("loss", [endpoint_error, charbonnier_loss])
def test_what_is_no_pair_of_flows_is_refused(loss):
    flow = torch.zeros(1, 2, 4, 4)
    with pytest.raises(ValueError, match=r"got \(1, 2, 4, 4\) and \(1, 2, 4, 5\)"):
        loss(flow, torch.zeros(1, 2, 4, 5))
    with pytest.raises(ValueError, match=r"\[B, 2, H, W\]"):
        loss(torch.zeros(1, 3, 4, 4), torch.zeros(1, 3, 4, 4))
    with pytest.raises(ValueError, match="'median'"):
        loss(flow, flow, reduction="median")


@pytest.mark.parametrize("epsilon", [0.0, -1.0])
def test_charbonnier_needs_a_positive_epsilon(epsilon):
    flow = torch.zeros(1, 2, 4, 4)
    with pytest.raises(ValueError, match="above 0"):
        charbonnier_loss(flow, flow, epsilon=epsilon)


def test_charbonnier_never_falls_below_epsilon(flows):
    assert charbonnier_loss(*flows, epsilon=0.5).item() >= 0.5
    assert math.isfinite(charbonnier_loss(*flows).item())
