"""A network for inference: batch norms folded into the convolutions before them."""

from __future__ import annotations

import copy
from itertools import pairwise
from typing import cast

from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights


def fused(network: nn.Module) -> nn.Module:
    """Copy a network and fold each batch norm into the convolution that stands before it.

    With the statistics of training a norm is a fixed scale and shift of each channel, which the
    weights of a convolution can do for it: a pass over its features is saved.

    Args:
        network: Lists a norm directly after its convolution, as all networks here do.

    Returns:
        A copy in evaluation mode, without gradients, that answers as ``network.eval()`` does to
        float tolerance. It does not follow what the network learns later.
    """
    # Weights of convolutions are replaced below: copying them first would take as long again.
    shared = {id(conv.weight): conv.weight for *_, conv, _ in _pairs(network)}
    copied = copy.deepcopy(network, shared).eval()
    for parent, after, conv, norm in _pairs(copied):
        conv.weight, conv.bias = fuse_conv_bn_weights(
            conv.weight,
            conv.bias,
            cast(Tensor, norm.running_mean),
            cast(Tensor, norm.running_var),
            norm.eps,
            norm.weight,
            norm.bias,
        )
        setattr(parent, after, nn.Identity())
    return copied.requires_grad_(False)


def _pairs(network: nn.Module) -> list[tuple[nn.Module, str, nn.Conv2d, nn.BatchNorm2d]]:
    """List the norms that stand after a convolution: their parent and name, and both."""
    return [
        (parent, after, conv, norm)
        for parent in network.modules()
        for (_, conv), (after, norm) in pairwise(list(parent.named_children()))
        if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)
    ]
