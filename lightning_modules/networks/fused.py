"""A network for inference: batch norms folded into the convolutions before them."""

from __future__ import annotations

import copy
from itertools import pairwise

from torch import nn
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
    copied = copy.deepcopy(network).eval().requires_grad_(False)
    for parent in list(copied.modules()):
        for (_, conv), (after, norm) in pairwise(list(parent.named_children())):
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                mean, variance, _ = norm.buffers()
                conv.weight, conv.bias = fuse_conv_bn_weights(
                    conv.weight, conv.bias, mean, variance, norm.eps, norm.weight, norm.bias
                )
                setattr(parent, after, nn.Identity())
    return copied
