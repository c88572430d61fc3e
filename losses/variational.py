"""The terms of a variational autoencoder's loss, and whether its latent space is used."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from losses.ssim import ssim_loss

ReconstructionCost = Literal["bce", "mse", "ssim"]


def kl_divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    r"""Divergence of the posterior from a standard normal distribution, in nats.

    :math:`-\frac12 \sum_i (1 + \log\sigma_i^2 - \mu_i^2 - \sigma_i^2)`: the sum over latent
    dimensions, the mean over samples.

    Args:
        mean: Posterior means [B, Z].
        log_variance: Logarithms of the posterior variances [B, Z].

    Returns:
        A scalar, at least 0.

    Raises:
        ValueError: If the shapes differ or are not [B, Z].

    Reference:
        SSIM-VAE, 3.2.4, equation (5); Kingma and Welling (arXiv 1312.6114), appendix B.

    Example:
        >>> kl_divergence(torch.ones(1, 4), torch.zeros(1, 4))
        tensor(2.)
    """
    if mean.shape != log_variance.shape or mean.ndim != 2:
        raise ValueError(
            f"Means and log-variances are of one shape [B, Z], got {tuple(mean.shape)} "
            f"and {tuple(log_variance.shape)}."
        )
    precision = torch.promote_types(mean.dtype, torch.float32)
    mean, log_variance = mean.to(precision), log_variance.to(precision)
    # expm1: exp(x) - 1 - x loses all its digits where the posterior is near the prior.
    divergence = 0.5 * (mean.square() + log_variance.expm1() - log_variance)
    return divergence.sum(dim=1).mean()


def reconstruction_loss(
    pred: Tensor,
    target: Tensor,
    *,
    cost: ReconstructionCost,
    data_range: float = 1.0,
    relative: bool = False,
) -> Tensor:
    """Distance of a reconstruction by one of three costs under one reduction.

    Each cost is a map with one value an element (channel and pixel) that is 0 where both agree;
    all three are summed over the elements of a sample and averaged over samples. One weight of
    :func:`kl_divergence` so buys the same for all: a nat weighs as much as a unit of cost at one
    element.

    ``bce``: cross-entropy of Bernoulli variables, less the entropy of the target.
    ``mse``: squared difference. ``ssim``: :func:`losses.ssim.ssim_loss`.

    Args:
        pred: Reconstructions [B, C, H, W] in [0, 1].
        target: What they should be, of the same shape and range.
        cost: ``bce``, ``mse`` or ``ssim``.
        data_range: Range of the values, which SSIM alone depends on.
        relative: Divide by what no motion, 0.5 everywhere, costs against the same targets. A
            reconstruction of 1 is then as good as none, and a weight of :func:`kl_divergence` means
            the same for costs whose units are a thousandfold apart.

    Returns:
        A scalar, at least 0.

    Raises:
        ValueError: If the shapes differ or there is no such cost.

    Reference:
        SSIM-VAE, 3.2.4, equations (2) to (4).

    Deviation:
        The paper sums BCE over pixels, and averages MSE and SSIM over them: beside a KL term that
        is summed the latter two would leave nothing in the latent space. Its BCE lacks the minus
        sign. The entropy of the target, which no network can change, is taken off, so that
        logged values can be read beside each other; gradients are those of BCE.

    Example:
        >>> flow = torch.full((1, 2, 8, 8), 0.5)
        >>> reconstruction_loss(flow + 0.25, flow, cost="mse")
        tensor(8.)
    """
    if pred.shape != target.shape or pred.ndim != 4:
        raise ValueError(
            f"Two batches of one shape [B, C, H, W] are compared, got {tuple(pred.shape)} "
            f"and {tuple(target.shape)}."
        )
    precision = torch.promote_types(pred.dtype, torch.float32)
    pred, target = pred.to(precision), target.to(precision)
    loss = _distance(pred, target, cost, data_range)
    if not relative:
        return loss
    still = _distance(torch.full_like(target, 0.5), target, cost, data_range)
    # Where nothing moves, nothing is to be divided by.
    return loss / still.clamp(min=torch.finfo(precision).eps)


def _distance(pred: Tensor, target: Tensor, cost: ReconstructionCost, data_range: float) -> Tensor:
    """Sum a cost over the elements of a sample and average it over samples."""
    if cost == "bce":
        # torch refuses this function under autocast, lest it be given half precision.
        with torch.autocast(pred.device.type, enabled=False):
            distance = functional.binary_cross_entropy(pred, target, reduction="none")
            entropy = functional.binary_cross_entropy(target, target, reduction="none")
        distance = distance - entropy
    elif cost == "mse":
        distance = (pred - target).square()
    elif cost == "ssim":
        distance = ssim_loss(pred, target, data_range=data_range, reduction="none")
    else:
        raise ValueError(f"The cost is 'bce', 'mse' or 'ssim', got {cost!r}.")
    return distance.flatten(1).sum(dim=1).mean()


def active_units(means: Tensor, *, threshold: float = 0.01) -> Tensor:
    """Count the latent dimensions that tell samples apart.

    Args:
        means: Posterior means [N, Z] of the samples of a data set; at least two.
        threshold: Variance over the samples above which a dimension counts as active.

    Returns:
        int64 scalar from 0 (collapsed) to Z.

    Reference:
        Burda et al., Importance weighted autoencoders (arXiv 1509.00519), 4.2.
    """
    return (means.float().var(dim=0, correction=0) > threshold).sum()


class KLDivergence(nn.Module):
    """Module form of :func:`kl_divergence`."""

    def forward(self, mean: Tensor, log_variance: Tensor) -> Tensor:
        """Return the divergence of posteriors given by means and log-variances [B, Z]."""
        return kl_divergence(mean, log_variance)


class ReconstructionLoss(nn.Module):
    """Module form of :func:`reconstruction_loss`.

    Args:
        cost: ``bce``, ``mse`` or ``ssim``.
        data_range: Range of the values, which SSIM alone depends on.
        relative: Divide by what no motion costs.
    """

    def __init__(
        self, cost: ReconstructionCost, *, data_range: float = 1.0, relative: bool = False
    ) -> None:
        super().__init__()
        self.cost: ReconstructionCost = cost
        self.data_range = data_range
        self.relative = relative

    def forward(self, pred: Tensor, target: Tensor) -> Tensor:
        """Return the distance of two batches [B, C, H, W] in [0, 1]."""
        return reconstruction_loss(
            pred, target, cost=self.cost, data_range=self.data_range, relative=self.relative
        )
