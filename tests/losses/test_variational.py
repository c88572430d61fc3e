from __future__ import annotations

import pytest
import torch
from torch.distributions import Bernoulli, Normal, kl

from losses.ssim import ssim_loss
from losses.variational import (
    KLDivergence,
    ReconstructionLoss,
    active_units,
    kl_divergence,
    reconstruction_loss,
)

COSTS = ["bce", "mse", "ssim"]


@pytest.fixture
def posterior() -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(5, 7), torch.randn(5, 7)


@pytest.fixture
def flows() -> tuple[torch.Tensor, torch.Tensor]:
    return torch.rand(3, 2, 16, 16), torch.rand(3, 2, 16, 16)


def test_kl_divergence_agrees_with_torch_distributions(posterior):
    mean, log_variance = posterior
    each = kl.kl_divergence(Normal(mean, (0.5 * log_variance).exp()), Normal(0.0, 1.0))
    torch.testing.assert_close(kl_divergence(mean, log_variance), each.sum(dim=1).mean())


def test_kl_divergence_is_zero_at_the_prior_alone(posterior):
    zeros = torch.zeros(4, 3)
    assert kl_divergence(zeros, zeros) == 0
    assert kl_divergence(*posterior) > 0
    # Near the prior it is quadratic; exp(x) - 1 - x would have no digit left in single precision.
    near = torch.full((1, 1), 1e-4)
    torch.testing.assert_close(kl_divergence(0 * near, near).item(), 2.5e-9, rtol=1e-2, atol=0.0)


def test_kl_divergence_adds_over_dimensions_and_averages_over_samples(posterior):
    mean, log_variance = posterior
    twice = kl_divergence(torch.cat((mean, mean), 1), torch.cat((log_variance, log_variance), 1))
    torch.testing.assert_close(twice, 2 * kl_divergence(mean, log_variance))
    repeated = kl_divergence(mean.repeat(3, 1), log_variance.repeat(3, 1))
    torch.testing.assert_close(repeated, kl_divergence(mean, log_variance))


def test_gradients_agree_with_finite_differences():
    mean = torch.randn(2, 3, dtype=torch.float64, requires_grad=True)
    log_variance = torch.randn(2, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(kl_divergence, (mean, log_variance))


@pytest.mark.parametrize("cost", COSTS)
def test_gradients_of_costs_agree_with_finite_differences(cost):
    target = torch.rand(1, 2, 8, 8, dtype=torch.float64)
    pred = (0.1 + 0.8 * torch.rand(1, 2, 8, 8, dtype=torch.float64)).requires_grad_()
    assert torch.autograd.gradcheck(lambda p: reconstruction_loss(p, target, cost=cost), (pred,))


@pytest.mark.parametrize("cost", COSTS)
def test_costs_are_zero_for_equal_flows_and_positive_else(cost, flows):
    pred, target = flows
    assert reconstruction_loss(target, target, cost=cost).item() == pytest.approx(0, abs=1e-4)
    assert reconstruction_loss(pred, target, cost=cost).item() > 1


@pytest.mark.parametrize("cost", COSTS)
def test_all_costs_have_one_reduction(cost, flows):
    """Summed over elements: twice the channels cost twice, twice the samples the same."""
    pred, target = flows
    loss = reconstruction_loss(pred, target, cost=cost)
    wider = reconstruction_loss(
        torch.cat((pred, pred), 1), torch.cat((target, target), 1), cost=cost
    )
    torch.testing.assert_close(wider, 2 * loss)
    more = reconstruction_loss(pred.repeat(2, 1, 1, 1), target.repeat(2, 1, 1, 1), cost=cost)
    torch.testing.assert_close(more, loss)


def test_costs_are_sums_of_what_they_are_called(flows):
    pred, target = flows
    elements = pred[0].numel()
    expected = {
        "mse": elements * torch.nn.functional.mse_loss(pred, target),
        "ssim": elements * ssim_loss(pred, target),
        "bce": kl.kl_divergence(Bernoulli(target), Bernoulli(pred)).sum() / len(pred),
    }
    for cost, value in expected.items():
        torch.testing.assert_close(
            reconstruction_loss(pred, target, cost=cost), value, rtol=1e-4, atol=1e-4
        )


def test_bce_has_the_gradient_of_cross_entropy(flows):
    pred, target = flows
    pred.requires_grad_()
    [ours] = torch.autograd.grad(reconstruction_loss(pred, target, cost="bce"), pred)
    cross_entropy = torch.nn.functional.binary_cross_entropy(pred, target, reduction="sum")
    [theirs] = torch.autograd.grad(cross_entropy / len(pred), pred)
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("cost", COSTS)
def test_a_relative_cost_of_no_motion_is_one(cost, flows):
    _, target = flows
    still = torch.full_like(target, 0.5)
    one = reconstruction_loss(still, target, cost=cost, data_range=0.3, relative=True)
    torch.testing.assert_close(one, torch.tensor(1.0))
    assert reconstruction_loss(target, target, cost=cost, relative=True) == pytest.approx(
        0, abs=1e-5
    )


def test_a_relative_cost_knows_no_unit(flows):
    """Half of a motion costs a quarter of none; BCE is twice the squared error of small motions."""
    _, target = flows
    for strength, costs in ((1.0, ["mse"]), (0.01, ["mse", "bce"])):
        moving = 0.5 + strength * (target - 0.5)
        for cost in costs:
            half = reconstruction_loss((moving + 0.5) / 2, moving, cost=cost, relative=True)
            assert half.item() == pytest.approx(0.25, rel=0.02)


@pytest.mark.parametrize("cost", COSTS)
def test_a_relative_cost_has_the_gradient_of_the_cost_in_its_unit(cost, flows):
    pred, target = flows
    pred.requires_grad_()
    options = {"cost": cost, "data_range": 0.5}
    [gradient] = torch.autograd.grad(reconstruction_loss(pred, target, **options), pred)
    relative = reconstruction_loss(pred, target, relative=True, **options)
    [ours] = torch.autograd.grad(relative, pred)
    still = reconstruction_loss(torch.full_like(target, 0.5), target, **options)
    torch.testing.assert_close(ours, gradient / still)


@pytest.mark.parametrize("cost", COSTS)
def test_a_relative_cost_is_finite_where_nothing_moves(cost):
    still = torch.full((1, 2, 16, 16), 0.5)
    pred = (still + 0.1).requires_grad_()
    loss = reconstruction_loss(pred, still, cost=cost, relative=True)
    loss.backward()
    assert loss.isfinite()
    assert pred.grad.isfinite().all()


def test_only_ssim_depends_on_the_range(flows):
    for cost in COSTS:
        one, other = (reconstruction_loss(*flows, cost=cost, data_range=r) for r in (1.0, 0.3))
        assert (one == other) == (cost != "ssim")


@pytest.mark.parametrize("cost", COSTS)
def test_costs_may_be_taken_under_autocast(cost, flows):
    with torch.autocast("cpu", torch.bfloat16):
        inside = reconstruction_loss(*flows, cost=cost)
    torch.testing.assert_close(inside, reconstruction_loss(*flows, cost=cost))


def test_active_units_counts_what_varies():
    means = torch.zeros(50, 4)
    means[:, 0] = torch.randn(50)
    means[:, 1] = 5.0  # far from the prior, and the same for all
    means[:, 2] = 0.05 * torch.randn(50)
    assert active_units(means).item() == 1
    assert active_units(means, threshold=1e-4).item() == 2
    assert active_units(means[:1]).item() == 0


def test_modules_equal_functions(posterior, flows):
    torch.testing.assert_close(KLDivergence()(*posterior), kl_divergence(*posterior))
    for cost in COSTS:
        torch.testing.assert_close(
            ReconstructionLoss(cost)(*flows), reconstruction_loss(*flows, cost=cost)
        )
        torch.testing.assert_close(
            ReconstructionLoss(cost, data_range=0.3, relative=True)(*flows),
            reconstruction_loss(*flows, cost=cost, data_range=0.3, relative=True),
        )


def test_what_cannot_be_compared_is_refused(flows):
    pred, target = flows
    with pytest.raises(ValueError, match="'bce', 'mse' or 'ssim', got 'l1'"):
        reconstruction_loss(pred, target, cost="l1")
    with pytest.raises(ValueError, match=r"\(3, 2, 16, 16\) and \(3, 1, 16, 16\)"):
        reconstruction_loss(pred, target[:, :1], cost="mse")
    with pytest.raises(ValueError, match=r"\(2, 3\) and \(2, 4\)"):
        kl_divergence(torch.zeros(2, 3), torch.zeros(2, 4))
