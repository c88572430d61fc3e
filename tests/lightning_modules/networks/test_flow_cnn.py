from __future__ import annotations

import pytest
import torch
from torch import nn

from lightning_modules.networks.flow_cnn import FlowCNN


@pytest.mark.parametrize("size", [16, 24, 48, 64, 96, 128])
def test_logits_of_every_size_of_the_papers(size):
    model = FlowCNN(6, size).eval()
    assert model(torch.randn(3, 2, size, size)).shape == (3, 6)


@pytest.mark.parametrize("size", [24, 64, 96, 128])
def test_weights_stay_far_below_what_ssim_vae_allows(size):
    weights = sum(parameter.numel() for parameter in FlowCNN(7, size).parameters())
    assert weights * 4 < 8e6  # bytes; 34 MB for both networks of SSIM-VAE


def test_three_blocks_of_convolution_batch_norm_and_max_pooling():
    kinds = [type(module) for module in FlowCNN(7, 64).features]
    assert kinds[:12] == 3 * [nn.Conv2d, nn.BatchNorm2d, nn.ReLU, nn.MaxPool2d]


def test_it_overfits_a_handful_of_flows():
    model = FlowCNN(4, 32, dropout=0.0)
    flows, labels = torch.randn(8, 2, 32, 32), torch.arange(8) % 4
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(30):
        loss = nn.functional.cross_entropy(model(flows), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert (model.eval()(flows).argmax(dim=1) == labels).all()


def test_flows_too_small_to_pool_are_refused():
    with pytest.raises(ValueError, match="at least 16x16 pixels, got 8x8"):
        FlowCNN(7, 8)
