"""Distances between optical flows."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

Reduction = Literal["mean", "sum", "none"]


def _difference(pred: Tensor, target: Tensor) -> Tensor:
    if pred.shape != target.shape or pred.ndim != 4 or pred.shape[1] != 2:
        raise ValueError(
            f"Two flows of one shape [B, 2, H, W] are compared, got {tuple(pred.shape)} "
            f"and {tuple(target.shape)}."
        )
    # Half precision resolves 1/128 px at 10 px: too coarse to be squared and averaged.
    precision = torch.promote_types(pred.dtype, torch.float32)
    return pred.to(precision) - target.to(precision)


def _reduce(values: Tensor, reduction: Reduction) -> Tensor:
    if reduction == "mean":
        return values.mean()
    if reduction == "sum":
        return values.sum()
    if reduction == "none":
        return values
    raise ValueError(f"Expected reduction 'mean', 'sum' or 'none', got {reduction!r}.")


def vector_length(flow: Tensor) -> Tensor:
    """Length of each vector; its gradient where there is no motion is 0, not NaN.

    Args:
        flow: Cartesian flow [B, 2, H, W], in any unit.

    Returns:
        Lengths [B, H, W], in the unit of the flow.
    """
    # Along an axis that is not innermost the norm of two numbers takes a processor forty times as
    # long (torch 2.13).
    length: Tensor = torch.linalg.vector_norm(flow.movedim(1, -1).contiguous(), dim=-1)
    return length


def endpoint_error(pred: Tensor, target: Tensor, *, reduction: Reduction = "mean") -> Tensor:
    r"""Mean length of the difference vectors, :math:`\|y^* - \tilde y^*\|_2`.

    Its gradient where both flows agree is 0, not NaN.

    Args:
        pred: Cartesian flow [B, 2, H, W], in any unit.
        target: Flow of the same shape and unit.
        reduction: ``mean`` or ``sum`` over samples and pixels, or ``none``.

    Returns:
        The error in the unit of the flows: a scalar, or [B, H, W] for ``none``.

    Raises:
        ValueError: If the shapes differ or are not those of flows.

    Reference:
        eMotion-GAN, III.D, equation (3).

    Deviation:
        The paper and its code compare what the network emits, magnitude and angle; an angle of
        +pi and one of -pi are the same direction and would count as farthest apart. Here the
        vectors are compared.

    Example:
        >>> pred = torch.tensor([3.0, 4.0]).view(1, 2, 1, 1)
        >>> endpoint_error(pred, torch.zeros(1, 2, 1, 1))
        tensor(5.)
    """
    return _reduce(vector_length(_difference(pred, target)), reduction)


def charbonnier_loss(
    pred: Tensor, target: Tensor, *, epsilon: float = 0.01, reduction: Reduction = "mean"
) -> Tensor:
    r"""Smooth absolute difference of the components, :math:`\sqrt{d^2 + \epsilon^2}`.

    Args:
        pred: Cartesian flow [B, 2, H, W], in any unit.
        target: Flow of the same shape and unit.
        epsilon: Where the loss turns from quadratic to linear, in the unit of the flows; above 0.
        reduction: ``mean`` or ``sum`` over samples, components and pixels, or ``none``.

    Returns:
        The loss, at least ``epsilon``: a scalar, or [B, 2, H, W] for ``none``.

    Raises:
        ValueError: If the shapes are not those of two flows, or ``epsilon`` is not above 0.

    Reference:
        eMotion-GAN, III.D, equation (4); its code fixes epsilon at 0.01.

    Deviation:
        The equation takes the root of the squared L1 distance of whole flows, which is robust to
        no single pixel, and the code raises the mean difference to the power 0.4. Here it is the
        Charbonnier loss of the literature, one root a component.

    Example:
        >>> flow = torch.zeros(1, 2, 4, 4)
        >>> charbonnier_loss(flow + 0.03, flow, epsilon=0.04)
        tensor(0.0500)
    """
    if epsilon <= 0:
        raise ValueError(f"Charbonnier's epsilon must be above 0, got {epsilon}.")
    difference = _difference(pred, target)
    return _reduce((difference.square() + epsilon**2).sqrt(), reduction)


class EndpointError(nn.Module):
    """Module form of :func:`endpoint_error`.

    Args:
        reduction: ``mean``, ``sum`` or ``none``.
    """

    def __init__(self, *, reduction: Reduction = "mean") -> None:
        super().__init__()
        self.reduction: Reduction = reduction

    def forward(self, pred: Tensor, target: Tensor) -> Tensor:
        """Return the endpoint error of two flows [B, 2, H, W]."""
        return endpoint_error(pred, target, reduction=self.reduction)


class CharbonnierLoss(nn.Module):
    """Module form of :func:`charbonnier_loss`.

    Args:
        epsilon: Where the loss turns from quadratic to linear, in the unit of the flows.
        reduction: ``mean``, ``sum`` or ``none``.
    """

    def __init__(self, *, epsilon: float = 0.01, reduction: Reduction = "mean") -> None:
        super().__init__()
        self.epsilon = epsilon
        self.reduction: Reduction = reduction

    def forward(self, pred: Tensor, target: Tensor) -> Tensor:
        """Return the Charbonnier loss of two flows [B, 2, H, W]."""
        return charbonnier_loss(pred, target, epsilon=self.epsilon, reduction=self.reduction)
