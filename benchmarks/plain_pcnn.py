"""PCNN read plainly, from the paper's text: module after module as they stand, for comparison."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from lightning_modules.networks.pcnn import PCNNNetwork

# Maps networks and an input of each to their outputs.
Trunks = Callable[[Sequence[Any], Sequence[Tensor]], list[Tensor]]


def one_after_the_other(trunks: Sequence[Any], images: Sequence[Tensor]) -> list[Tensor]:
    """Run each trunk on its region.

    Args:
        trunks: Networks.
        images: [B, 3, h, w] of each.

    Returns:
        [B, C, h', w'] of each.
    """
    return [_trunk(trunk, image) for trunk, image in zip(trunks, images, strict=True)]


def pairs_in_groups(trunks: Sequence[Any], images: Sequence[Tensor]) -> list[Tensor]:
    """Run neighbours of equal size in one pass, by convolutions with groups.

    Padding all regions to one size would bring in more, and be wrong at their borders: what a
    batch norm makes of the padding is no longer zero.

    Args:
        trunks: Networks.
        images: [B, 3, h, w] of each.

    Returns:
        The same as :func:`one_after_the_other`.
    """
    features, start = [], 0
    while start < len(trunks):
        end = start + 1
        while end < len(trunks) and images[end].shape == images[start].shape:
            end += 1
        features += _grouped_trunk(trunks[start:end], images[start:end])
        start = end
    return features


def plain_pcnn(
    network: PCNNNetwork, image: Tensor, trunks: Trunks = one_after_the_other
) -> tuple[Tensor, Tensor]:
    """Classify faces by five regions.

    Args:
        network: Whose weights are taken.
        image: Normalised [B, 3, H, W].
        trunks: How the region trunks are run.

    Returns:
        Logits [B, K] of GPN and of LPN.
    """
    side = image.shape[-1]
    upper, lower, middle = side // 2, side * 13 // 20, side // 2
    pieces = {
        "left_eye": image[:, :, :upper, :middle],
        "right_eye": image[:, :, :upper, middle:],
        "left_cheek": image[:, :, upper:lower, :middle],
        "right_cheek": image[:, :, upper:lower, middle:],
        "mouth": image[:, :, lower:],
    }
    whole = _trunk(network.global_trunk, image)
    regions = trunks([network.region_trunks[name] for name in pieces], list(pieces.values()))
    left_eye, right_eye, left_cheek, right_cheek, mouth = regions
    width = whole.shape[3]
    eyes = torch.cat((left_eye, right_eye), 3)
    cheeks = torch.cat((left_cheek, right_cheek), 3)
    eyes = _resize(eyes, eyes.shape[2], width)
    cheeks = _resize(cheeks, cheeks.shape[2], width)
    stitched = _resize(torch.cat((eyes, cheeks, mouth), 2), whole.shape[2], width)
    localiser = network.layer4 if network.mdim_layer4 is None else network.mdim_layer4
    transformer = cast(Any, network.transformer)
    theta = transformer.localisation(_layer(localiser, stitched)).view(-1, 2, 3)
    grid = functional.affine_grid(theta, list(stitched.shape), align_corners=True)
    joined = whole + functional.grid_sample(stitched, grid, align_corners=True)
    local = torch.zeros(())
    for name, features in zip(pieces, regions, strict=True):
        local = local + network.local_fc[name](_pool(features))
    return network.fc(_pool(_layer(network.layer4, joined))), local


def _pool(features: Tensor) -> Tensor:
    return functional.adaptive_avg_pool2d(features, 1).flatten(1)


def _resize(features: Tensor, height: int, width: int) -> Tensor:
    return functional.interpolate(features, (height, width), mode="bilinear", align_corners=True)


def _trunk(trunk: Any, x: Tensor) -> Tensor:
    x = trunk.maxpool(functional.relu(trunk.bn1(trunk.conv1(x))))
    return _layer(trunk.layer3, _layer(trunk.layer2, _layer(trunk.layer1, x)))


def _layer(layer: Any, x: Tensor) -> Tensor:
    for block in layer:
        shortcut = x if block.downsample is None else block.downsample(x)
        hidden = functional.relu(block.bn1(block.conv1(x)))
        x = functional.relu(block.bn2(block.conv2(hidden)) + shortcut)
    return x


def _grouped_trunk(trunks: Sequence[Any], images: Sequence[Tensor]) -> list[Tensor]:
    x = torch.cat(list(images), dim=1)
    x = functional.relu(_grouped([t.conv1 for t in trunks], [t.bn1 for t in trunks], x))
    x = trunks[0].maxpool(x)
    for name in ("layer1", "layer2", "layer3"):
        for blocks in zip(*(getattr(trunk, name) for trunk in trunks), strict=True):
            shortcut = x
            if blocks[0].downsample is not None:
                pairs = [block.downsample for block in blocks]
                shortcut = _grouped([p[0] for p in pairs], [p[1] for p in pairs], x)
            hidden = _grouped([b.conv1 for b in blocks], [b.bn1 for b in blocks], x)
            hidden = functional.relu(hidden)
            hidden = _grouped([b.conv2 for b in blocks], [b.bn2 for b in blocks], hidden)
            x = functional.relu(hidden + shortcut)
    return list(x.chunk(len(trunks), dim=1))


def _grouped(convs: list[nn.Conv2d], norms: list[nn.BatchNorm2d], x: Tensor) -> Tensor:
    first = convs[0]
    weight = torch.cat([conv.weight for conv in convs])
    x = functional.conv2d(
        x,
        weight,
        None,
        first.stride,
        first.padding,
        groups=len(convs),
    )
    means = torch.cat([cast(Tensor, norm.running_mean) for norm in norms])
    variances = torch.cat([cast(Tensor, norm.running_var) for norm in norms])
    scales = torch.cat([norm.weight for norm in norms])
    shifts = torch.cat([norm.bias for norm in norms])
    training = norms[0].training
    x = functional.batch_norm(x, means, variances, scales, shifts, training)
    if training:
        parts = zip(norms, means.chunk(len(norms)), variances.chunk(len(norms)), strict=True)
        for norm, mean, variance in parts:
            cast(Tensor, norm.running_mean).copy_(mean)
            cast(Tensor, norm.running_var).copy_(variance)
            cast(Tensor, norm.num_batches_tracked).add_(1)
    return x
