from __future__ import annotations

import pytest
import torch
from torch import nn

from lightning_modules.networks.flow_cnn import FlowCNN
from lightning_modules.networks.fused import fused
from lightning_modules.networks.pcnn import PCNNNetwork
from lightning_modules.networks.resnet import ResNet18


@pytest.mark.parametrize(
    ("network", "shape"),
    [
        (ResNet18(3, width=16), (8, 3, 48, 48)),
        (PCNNNetwork(3, 48, stem="small", width=4, share_norms=False), (8, 3, 48, 48)),
        (FlowCNN(3, 24), (8, 2, 24, 24)),
    ],
    ids=["resnet18", "pcnn", "flow_cnn"],
)
def test_a_fused_network_answers_as_the_plain_one_does_and_leaves_it_alone(network, shape):
    for _ in range(3):
        network(torch.randn(shape))  # statistics of their own
    before = {name: value.clone() for name, value in network.state_dict().items()}
    fast = fused(network)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in fast.modules())
    assert network.training
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])
    x = torch.randn(shape)
    torch.testing.assert_close(fast(x), network.eval()(x), atol=1e-4, rtol=1e-4)
    assert not any(parameter.requires_grad for parameter in fast.parameters())
