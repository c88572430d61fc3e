"""Cross-entropy against classes or votes, and the two-phase loss of PCNN."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional


def classification_loss(
    logits: Tensor, target: Tensor, *, class_weights: Tensor | None = None
) -> Tensor:
    """Cross-entropy, the mean over the samples by the weight of what they show.

    Args:
        logits: [B, K].
        target: int64 [B] of class indices, or float [B, K] of shares that sum to 1, such as the
            votes of a crowd.
        class_weights: [K], at least 0; None is 1 for all.

    Returns:
        A scalar, at least 0. Votes that are all for one class cost what that class does.

    Raises:
        ValueError: If the target has neither of the two shapes.

    Reference:
        Barsoum et al. (ICMI 2016), equation (4), for votes.

    Deviation:
        torch's own divides by the number of samples where targets are shares, and by their weight
        where they are classes; here it is the weight for both.
    """
    if target.ndim == 1 and not target.is_floating_point():
        return functional.cross_entropy(logits, target, class_weights)
    if target.shape != logits.shape:
        raise ValueError(
            f"A target is a class of each sample, [{len(logits)}], or a share of each class, "
            f"{list(logits.shape)}; got {list(target.shape)} of {target.dtype}."
        )
    if class_weights is not None:
        target = target * class_weights
    return -(target * logits.log_softmax(dim=1)).sum() / target.sum()


def balancing_weights(counts: Sequence[int]) -> Tensor:
    """Weigh classes so that each has the same say, whatever the number of its samples.

    Args:
        counts: Training samples of each class.

    Returns:
        float32 [K]; the mean over all samples is 1.

    Raises:
        ValueError: If a class has no sample.
    """
    empty = [str(index) for index, count in enumerate(counts) if count <= 0]
    if empty:
        raise ValueError(
            f"Class {', '.join(empty)} (from 0) has no training sample, so no weight gives it the "
            "same say: leave it out of the expressions, or set class_balance to none."
        )
    number = torch.tensor(counts, dtype=torch.float32)
    return number.sum() / (len(counts) * number)


def log_priors(counts: Sequence[int]) -> Tensor:
    """Return the logarithm of each class's share, which is what logit adjustment adds to logits.

    Args:
        counts: Training samples of each class.

    Returns:
        float32 [K], at most 0.

    Raises:
        ValueError: If a class has no sample.

    Reference:
        Menon et al. (ICLR 2021), Long-tail Learning via Logit Adjustment, equation (10): a
        cross-entropy of logits to which ``tau * log_priors`` was added teaches the logits
        themselves to be right where all classes are equally frequent (tau = 1).
    """
    if min(counts) <= 0:
        raise ValueError(f"A class has no training sample, so it has no logarithm: {counts}.")
    number = torch.tensor(counts, dtype=torch.float32)
    return (number / number.sum()).log()


class TwoPhase(NamedTuple):
    """The two-phase loss and its unweighted terms.

    Attributes:
        total: ``alpha * global_term + beta * local_term``.
        global_term: Cross-entropy of the whole network.
        local_term: Cross-entropy of the regions alone.
    """

    total: Tensor
    global_term: Tensor
    local_term: Tensor


def two_phase_loss(
    global_logits: Tensor,
    local_logits: Tensor,
    target: Tensor,
    *,
    alpha: float = 12.0,
    beta: float = 8.0,
    class_weights: Tensor | None = None,
) -> TwoPhase:
    """Cross-entropy of the whole network, and of its regions alone.

    Args:
        global_logits: [B, K] of GPN.
        local_logits: [B, K] of LPN.
        target: Classes [B] or shares [B, K], as in :func:`classification_loss`.
        alpha: Weight of the whole network.
        beta: Weight of the regions.
        class_weights: [K] or None.

    Returns:
        The loss and its terms, scalars.

    Reference:
        PCNN (Tian et al.), III.D, equation (5), and IV.C for the weights.
    """
    whole = classification_loss(global_logits, target, class_weights=class_weights)
    local = classification_loss(local_logits, target, class_weights=class_weights)
    return TwoPhase(alpha * whole + beta * local, whole, local)


class TwoPhaseLoss(nn.Module):
    """:func:`two_phase_loss` with its weights.

    Args:
        alpha: Weight of the whole network.
        beta: Weight of the regions.
    """

    def __init__(self, alpha: float = 12.0, beta: float = 8.0) -> None:
        super().__init__()
        self.alpha = alpha
        self.beta = beta

    def forward(
        self,
        global_logits: Tensor,
        local_logits: Tensor,
        target: Tensor,
        class_weights: Tensor | None = None,
    ) -> TwoPhase:
        """Return the loss and its terms for logits [B, K] and targets [B] or [B, K]."""
        return two_phase_loss(
            global_logits,
            local_logits,
            target,
            alpha=self.alpha,
            beta=self.beta,
            class_weights=class_weights,
        )
