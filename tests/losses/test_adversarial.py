from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from losses.adversarial import (
    DiscriminatorLoss,
    GeneratorLoss,
    discriminator_loss,
    generator_loss,
)


@pytest.fixture
def logits() -> tuple[torch.Tensor, torch.Tensor]:
    return 3 * torch.randn(4, 1, 6, 6), 3 * torch.randn(4, 1, 6, 6)


def test_losses_agree_with_binary_cross_entropy(logits):
    real, fake = logits
    ones, zeros = torch.ones_like(real), torch.zeros_like(fake)
    halves = (
        functional.binary_cross_entropy_with_logits(real, ones),
        functional.binary_cross_entropy_with_logits(fake, zeros),
    )
    torch.testing.assert_close(discriminator_loss(real, fake), sum(halves) / 2)
    torch.testing.assert_close(
        generator_loss(fake), functional.binary_cross_entropy_with_logits(fake, ones)
    )


def test_a_coin_costs_log_2():
    coin = torch.zeros(2, 1, 3, 3)
    assert discriminator_loss(coin, coin).item() == pytest.approx(math.log(2))
    assert generator_loss(coin).item() == pytest.approx(math.log(2))


def test_the_players_pull_in_opposite_directions(logits):
    real, fake = logits
    assert discriminator_loss(real + 1, fake) < discriminator_loss(real, fake)
    assert discriminator_loss(real, fake + 1) > discriminator_loss(real, fake)
    assert generator_loss(fake + 1) < generator_loss(fake)


def test_gradients_agree_with_finite_differences():
    real, fake = (torch.randn(2, 1, 2, 2, dtype=torch.float64) for _ in range(2))
    real.requires_grad_()
    fake.requires_grad_()
    assert torch.autograd.gradcheck(discriminator_loss, (real, fake))
    assert torch.autograd.gradcheck(generator_loss, (fake,))


def test_a_losing_generator_still_has_a_gradient():
    fake = torch.full((1, 1, 2, 2), -1e4, requires_grad=True)
    loss = generator_loss(fake)
    loss.backward()
    assert loss.item() == pytest.approx(1e4)
    assert fake.grad is not None
    torch.testing.assert_close(fake.grad.sum(), torch.tensor(-1.0))


def test_half_precision_is_summed_in_single(logits):
    real, fake = (half.bfloat16() for half in logits)
    torch.testing.assert_close(
        discriminator_loss(real, fake), discriminator_loss(real.float(), fake.float())
    )


def test_modules_equal_functions(logits):
    real, fake = logits
    assert torch.equal(DiscriminatorLoss()(real, fake), discriminator_loss(real, fake))
    assert torch.equal(GeneratorLoss()(fake), generator_loss(fake))
