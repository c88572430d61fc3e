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


def test_folded_norms_are_norms_and_let_gradients_through():
    net = ResNet18(3, width=4)
    image = torch.randn(8, 3, 48, 48)
    for _ in range(3):
        net(image)
    net.eval()
    seen = {}

    def keep(module, inputs, output):
        seen["folded"] = inputs[0]

    net.fc.register_forward_hook(keep)
    net(image)
    x = net.maxpool(net.relu(net.bn1(net.conv1(image))))
    for stage in (net.layer1, net.layer2, net.layer3, net.layer4):
        for block in stage:
            short = x if block.downsample is None else block.downsample(x)
            x = net.relu(block.bn2(block.conv2(net.relu(block.bn1(block.conv1(x))))) + short)
    torch.testing.assert_close(seen["folded"], x.mean(dim=(2, 3)), atol=1e-4, rtol=1e-4)
    net(image).sum().backward()
    assert all(parameter.grad is not None for parameter in net.parameters())
