from __future__ import annotations

import pytest
import torch
from torch import nn

from lightning_modules.networks.variational_autoencoder import Posterior, VariationalAutoencoder


@pytest.mark.parametrize(("size", "cells"), [(16, 4), (24, 6), (48, 6), (64, 4), (96, 6), (128, 4)])
def test_flows_are_halved_down_to_a_few_cells_and_come_back(size, cells):
    model = VariationalAutoencoder(size, latent=5, width=2)
    flow = torch.rand(3, 2, size, size)
    posterior = model.encode(flow)
    assert posterior.mean.shape == posterior.log_variance.shape == (3, 5)
    assert model.encoder[:-1](flow).shape[2:] == (cells, cells)
    restored = model.decode(posterior.mean, flow)
    assert restored.shape == flow.shape
    assert restored.min() >= 0
    assert restored.max() <= 1


def test_blocks_are_those_of_the_paper():
    model = VariationalAutoencoder(64, width=2)
    blocks = [*model.encoder[:-1], *model.decoder[2:-1]]
    assert len(blocks) == 4 + 3
    for block in blocks:
        convolution, norm, activation = block
        assert convolution.kernel_size == (4, 4)
        assert convolution.stride == (2, 2)
        assert isinstance(norm, nn.BatchNorm2d)
        assert isinstance(activation, nn.ReLU)
    assert all(isinstance(block[0], nn.Conv2d) for block in blocks[:4])
    assert all(
        isinstance(block[0], nn.ConvTranspose2d) for block in [*blocks[4:], model.decoder[-1:]]
    )


def test_forward_decodes_the_mean():
    model = VariationalAutoencoder(16, latent=3, width=2).eval()
    flow = torch.rand(2, 2, 16, 16)
    assert torch.equal(model(flow).flow, model(flow).flow)
    assert torch.equal(model(flow).flow, model.decode(model.encode(flow).mean, flow))


def test_the_paper_reads_the_flow_through_the_latent_space_alone():
    model = VariationalAutoencoder(16, latent=3, width=2).eval()
    latent = torch.randn(2, 3)
    decoded = [model.decode(latent, flow) for flow in torch.rand(2, 2, 2, 16, 16)]
    assert torch.equal(*decoded)


def test_the_residual_prior_begins_at_the_flow_and_corrects_it():
    model = VariationalAutoencoder(16, latent=3, width=2, prior="residual")
    flow = torch.rand(4, 2, 16, 16)
    torch.testing.assert_close(model(flow).flow, flow, rtol=0, atol=0.01)
    with torch.no_grad():
        model.decoder[-1].bias.fill_(1.0)
    assert (model(flow).flow > flow).all()


def test_samples_have_the_mean_and_variance_of_the_posterior():
    mean, log_variance = torch.tensor([[1.0, -2.0]]), torch.tensor([[0.5, -3.0]])
    samples = Posterior(mean.expand(20000, 2), log_variance.expand(20000, 2)).sample()
    torch.testing.assert_close(samples.mean(dim=0), mean[0], atol=0.05, rtol=0)
    torch.testing.assert_close(samples.var(dim=0), log_variance[0].exp(), atol=0, rtol=0.05)


def test_samples_carry_gradients_to_mean_and_log_variance():
    mean = torch.randn(2, 3, dtype=torch.float64, requires_grad=True)
    log_variance = torch.randn(2, 3, dtype=torch.float64, requires_grad=True)

    def sample(mean, log_variance):
        torch.manual_seed(0)
        return Posterior(mean, log_variance).sample()

    assert torch.autograd.gradcheck(sample, (mean, log_variance))


def test_half_precision_resolves_small_motion():
    """Around 0.5 bfloat16 knows no step below 1/256; the sigmoid is taken in single precision."""
    model = VariationalAutoencoder(16, latent=3, width=2).eval()
    latent, flow = torch.randn(2, 3), torch.rand(2, 2, 16, 16)
    with torch.autocast("cpu", torch.bfloat16):
        halved = model.decode(latent, flow)
    assert halved.dtype == torch.float32
    near = halved[(halved - 0.5).abs() < 0.1]
    assert ((near - 0.5).abs().unique().diff() < 1 / 1024).any()
    assert model.encode(flow).mean.dtype == torch.float32


@pytest.mark.parametrize("size", [7, 30, 100])
def test_sizes_that_cannot_be_halved_are_refused(size):
    with pytest.raises(ValueError, match=f"which {size} pixels do not allow"):
        VariationalAutoencoder(size)
