from __future__ import annotations

import pytest
import torch

from lightning_modules.networks.resnet import ResNet18, Trunk


def test_names_and_size_are_the_common_ones():
    net = ResNet18(1000)
    state = net.state_dict()
    assert sum(parameter.numel() for parameter in net.parameters()) == 11_689_512
    assert len(state) == 122
    for name, shape in {
        "conv1.weight": (64, 3, 7, 7),
        "bn1.running_mean": (64,),
        "layer1.0.conv1.weight": (64, 64, 3, 3),
        "layer2.0.downsample.0.weight": (128, 64, 1, 1),
        "layer3.0.downsample.1.num_batches_tracked": (),
        "layer4.1.bn2.bias": (512,),
        "fc.weight": (1000, 512),
    }.items():
        assert tuple(state[name].shape) == shape


@pytest.mark.parametrize(("stem", "cells"), [("imagenet", 4), ("small", 16), ("pooled", 8)])
def test_the_stem_decides_how_much_is_left_of_an_image(stem, cells):
    net = Trunk(stem, width=4)
    assert net(torch.rand(2, 3, 64, 64)).shape == (2, net.channels, cells, cells)
    assert 64 // net.stride == cells
