from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight
from torch.nn import functional

from losses.classification import (
    TwoPhaseLoss,
    balancing_weights,
    classification_loss,
    log_priors,
    two_phase_loss,
)


@pytest.fixture
def logits() -> torch.Tensor:
    return torch.randn(6, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


LABEL = torch.tensor([0, 1, 1, 2, 3, 3])
WEIGHTS = torch.tensor([0.5, 2.0, 1.0, 3.0], dtype=torch.float64)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_votes_that_agree_cost_what_a_class_does(logits, weights):
    shares = functional.one_hot(LABEL, 4).double()
    hard = classification_loss(logits, LABEL, class_weights=weights)
    soft = classification_loss(logits, shares, class_weights=weights)
    torch.testing.assert_close(soft, hard)
    torch.testing.assert_close(hard, functional.cross_entropy(logits, LABEL, weights))


def test_votes_cost_the_formula_and_are_least_where_the_answer_is_the_votes(logits):
    votes = torch.rand(6, 4, dtype=torch.float64).softmax(dim=1)
    by_hand = torch.tensor(
        [
            -sum(p * q.log() for p, q in zip(row, answer, strict=True))
            for row, answer in zip(votes, logits.softmax(dim=1), strict=True)
        ]
    ).mean()
    torch.testing.assert_close(classification_loss(logits, votes), by_hand.double())
    leaf = votes.log().requires_grad_()
    classification_loss(leaf, votes).backward()
    torch.testing.assert_close(leaf.grad, torch.zeros_like(leaf), atol=1e-12, rtol=0)


def test_gradients(logits):
    votes = torch.rand(6, 4, dtype=torch.float64).softmax(dim=1)
    leaf = logits.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda x: classification_loss(x, votes, class_weights=WEIGHTS), leaf
    )


def test_a_target_of_another_shape_is_named(logits):
    with pytest.raises(ValueError, match=r"\[6, 4\]; got \[6, 3\]"):
        classification_loss(logits, torch.rand(6, 3))


def test_balancing_weights_are_those_of_scikit_learn():
    expected = compute_class_weight("balanced", classes=np.arange(4), y=LABEL.numpy())
    got = balancing_weights([1, 2, 1, 2])
    torch.testing.assert_close(got, torch.from_numpy(expected).float())


def test_a_class_without_samples_is_named():
    with pytest.raises(ValueError, match="Class 1, 3 "):
        balancing_weights([4, 0, 2, 0])


def test_logits_adjusted_by_priors_learn_that_all_classes_are_equally_frequent():
    counts = [60, 30, 9, 1]
    shares = torch.tensor(counts)[None] / 100
    logits = torch.zeros(1, 4, requires_grad=True)  # of faces that tell nothing
    classification_loss(logits + log_priors(counts), shares).backward()
    torch.testing.assert_close(logits.grad, torch.zeros(1, 4), atol=1e-6, rtol=0)


def test_a_class_without_samples_has_no_prior():
    with pytest.raises(ValueError, match="no training sample"):
        log_priors([4, 0, 2])


def test_two_phases_are_weighed_and_each_is_moved(logits):
    whole, local = logits.clone().requires_grad_(), (2 * logits).detach().requires_grad_()
    loss = two_phase_loss(whole, local, LABEL, alpha=12, beta=8)
    torch.testing.assert_close(
        loss.total,
        12 * functional.cross_entropy(whole, LABEL) + 8 * functional.cross_entropy(local, LABEL),
    )
    torch.testing.assert_close(TwoPhaseLoss()(whole, local, LABEL).total, loss.total)
    loss.total.backward()
    shares = functional.one_hot(LABEL, 4).double()
    torch.testing.assert_close(whole.grad, 12 * (whole.softmax(1) - shares).detach() / 6)
    torch.testing.assert_close(local.grad, 8 * (local.softmax(1) - shares).detach() / 6)
