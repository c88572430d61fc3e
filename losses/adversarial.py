"""The two sides of the adversarial game, as sigmoid cross-entropy on logits."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


def _cross_entropy(logits: Tensor, truth: float) -> Tensor:
    # softplus(-x) = -log sigmoid(x) and softplus(x) = -log(1 - sigmoid(x)), without overflow.
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    return functional.softplus(-logits if truth else logits).mean()


def discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    r"""Cross-entropy of a discriminator, the mean of its real and its fake half.

    :math:`-\frac12 \left(\log D(y^*) + \log(1 - D(G(y)))\right)`; log 2 for a coin.

    Args:
        real_logits: Logits on real samples, of any shape; no sigmoid.
        fake_logits: Logits on generated samples, of any shape.

    Returns:
        A scalar, at least 0.

    Reference:
        eMotion-GAN, III.D, equation (1) and its last paragraph.
    """
    return 0.5 * (_cross_entropy(real_logits, 1.0) + _cross_entropy(fake_logits, 0.0))


def generator_loss(fake_logits: Tensor) -> Tensor:
    r"""Cross-entropy of generated samples against "real", :math:`-\log D(G(y))`.

    Args:
        fake_logits: Logits on generated samples, of any shape; no sigmoid.

    Returns:
        A scalar, at least 0.

    Reference:
        eMotion-GAN, III.D, equation (1).

    Deviation:
        The equation's generator minimises log(1 - D); as the authors' code does, this is the
        non-saturating form, which has a gradient while the discriminator is still winning.
    """
    return _cross_entropy(fake_logits, 1.0)


class DiscriminatorLoss(nn.Module):
    """Module form of :func:`discriminator_loss`."""

    def forward(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """Return the discriminator's loss for logits of any shapes."""
        return discriminator_loss(real_logits, fake_logits)


class GeneratorLoss(nn.Module):
    """Module form of :func:`generator_loss`."""

    def forward(self, fake_logits: Tensor) -> Tensor:
        """Return the generator's loss for logits of any shape."""
        return generator_loss(fake_logits)
