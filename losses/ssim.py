"""Structural similarity as a loss."""

from __future__ import annotations

import torch
from kornia.filters import filter2d_separable
from kornia.metrics import ssim
from torch import Tensor, nn

from losses.flow import Reduction, _reduce

_DEVIATION = 1.5  # of the Gaussian window, in pixels


def ssim_loss(
    pred: Tensor,
    target: Tensor,
    *,
    window_size: int = 11,
    data_range: float = 1.0,
    reduction: Reduction = "mean",
) -> Tensor:
    r"""One minus the structural similarity, :math:`1 - \mathrm{SSIM}`.

    Means, variances and covariance are taken a channel under a Gaussian window of standard
    deviation 1.5 pixels, at every pixel; the border is reflected. C1 and C2 are 0.01 and 0.03
    times the data range, squared. The gradient is finite everywhere, and 0 where both are equal.

    Args:
        pred: Images or encoded flows [B, C, H, W] in [0, 1]; SSIM of signed values means nothing.
        target: The same, of the same shape.
        window_size: Side of the window in pixels; odd.
        data_range: Range of the values, above 0. Where the variance under a window is far below C2,
            SSIM loses sight of structure, and the loss is the squared error divided by C2: flows of
            small motion need the range that they fill, not the one that they could.
        reduction: ``mean`` or ``sum`` over samples, channels and pixels, or ``none``.

    Returns:
        The loss, from 0 (equal) to 2 (inverted): a scalar, or the map [B, C, H, W] for ``none``.

    Raises:
        ValueError: If the shapes differ, the window is even or does not fit, or there is no range.

    Reference:
        SSIM-VAE, 3.2.4, equation (4); Wang et al., Image quality assessment (TIP 2004).

    Deviation:
        The paper prints SSIM itself as the loss, which is better the larger it is. kornia's loss
        is half of ours.

    Example:
        >>> image = torch.rand(1, 1, 16, 16)
        >>> ssim_loss(image, image)
        tensor(0.)
    """
    if pred.shape != target.shape or pred.ndim != 4:
        raise ValueError(
            f"Two batches of one shape [B, C, H, W] are compared, got {tuple(pred.shape)} "
            f"and {tuple(target.shape)}."
        )
    if window_size % 2 == 0 or min(pred.shape[2:]) <= window_size // 2:
        raise ValueError(
            f"SSIM's window has an odd side, and images are wider than half of it: got a window "
            f"of {window_size} and images of {pred.shape[2]}x{pred.shape[3]} pixels."
        )
    if not data_range > 0:
        raise ValueError(f"The data range of SSIM is above 0, got {data_range}.")
    # A variance is a small difference of large numbers: half precision would leave nothing of it.
    precision = torch.promote_types(pred.dtype, torch.float32)
    pred, target = pred.to(precision), target.to(precision)
    if pred.is_cpu:
        # Without the epsilon that kornia adds to the denominator, equal images score exactly 1.
        similarity = ssim(pred, target, window_size, max_val=data_range, eps=0.0)
    else:
        similarity = _similarity(pred, target, window_size, data_range)
    return _reduce(1 - similarity, reduction)


def _similarity(pred: Tensor, target: Tensor, window_size: int, data_range: float) -> Tensor:
    """Compute what kornia does, which copies its window to the device and waits there for it."""
    place = torch.arange(window_size, dtype=pred.dtype, device=pred.device) - window_size // 2
    window = torch.exp(-place.square() / (2 * _DEVIATION**2))
    window = (window / window.sum()).unsqueeze(0)
    moments = torch.cat((pred, target, pred.square(), target.square(), pred * target))
    with torch.autocast(pred.device.type, enabled=False):
        mean, other, square, other_square, product = filter2d_separable(
            moments, window, window
        ).chunk(5)
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    means, mean_squares = mean * other, mean.square() + other.square()
    covariance, variances = product - means, square + other_square - mean_squares
    return (2 * means + c1) * (2 * covariance + c2) / ((mean_squares + c1) * (variances + c2))


class SSIMLoss(nn.Module):
    """Module form of :func:`ssim_loss`.

    Args:
        window_size: Side of the Gaussian window in pixels; odd.
        data_range: Range of the values.
        reduction: ``mean``, ``sum`` or ``none``.
    """

    def __init__(
        self, *, window_size: int = 11, data_range: float = 1.0, reduction: Reduction = "mean"
    ) -> None:
        super().__init__()
        self.window_size = window_size
        self.data_range = data_range
        self.reduction: Reduction = reduction

    def forward(self, pred: Tensor, target: Tensor) -> Tensor:
        """Return the loss of two batches [B, C, H, W] in [0, 1]."""
        return ssim_loss(
            pred,
            target,
            window_size=self.window_size,
            data_range=self.data_range,
            reduction=self.reduction,
        )
