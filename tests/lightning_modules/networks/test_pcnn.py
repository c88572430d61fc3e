from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.pcnn import plain_pcnn
from lightning_modules.networks.pcnn import PCNNNetwork


def unlike(net: PCNNNetwork) -> PCNNNetwork:
    """Statistics, scales and the affine map as after some training."""
    for name, tensor in [*net.named_parameters(), *net.named_buffers()]:
        with torch.no_grad():
            if name.endswith("running_var") or ("bn" in name and name.endswith("weight")):
                tensor.uniform_(0.5, 1.5)
            elif name.endswith(("running_mean", "bias")):
                tensor.add_(0.1 * torch.randn_like(tensor))
    return net


def test_parameters_and_macs_are_those_that_the_authors_code_uses():
    net = PCNNNetwork(7).eval()
    # Six trunks, one layer 4, 25088 x 32 and 32 x 6 of MDIM, GPN and five LPN.
    trunk, layer4 = 2_782_784, 8_393_728
    heads = (25088 * 32 + 32) + (32 * 6 + 6) + (512 * 7 + 7) + 5 * (256 * 7 + 7)
    count = sum(parameter.numel() for parameter in net.parameters())
    assert count == 6 * trunk + layer4 + heads == 25_906_064
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        net(torch.zeros(1, 3, 224, 224))
    assert counter.get_total_flops() / 2e9 == pytest.approx(3.68, abs=0.005)


# Width 16 is channels-last, width 4 is not.
@pytest.mark.parametrize(("size", "width"), [(48, 4), (64, 4), (64, 16), (96, 16), (224, 4)])
@pytest.mark.parametrize(("share", "norms"), [(True, True), (True, False), (False, True)])
def test_it_is_the_plain_reading_when_tested(size, width, share, norms):
    net = PCNNNetwork(5, size, width=width, share_layer4=share, share_norms=norms)
    net = unlike(net).eval()
    image = torch.randn(2, 3, size, size)
    with torch.no_grad():
        expected = plain_pcnn(net, image)
        got = net(image)
    torch.testing.assert_close(got.logits, expected[0], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(got.local_logits, expected[1], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("stem", "width"), [("imagenet", 4), ("imagenet", 16), ("small", 4)])
def test_it_is_the_plain_reading_when_trained(stem, width):
    # In double precision: training's statistics of few samples blow float errors up.
    net = unlike(PCNNNetwork(5, 64, width=width, stem=stem)).double().train()
    other = copy.deepcopy(net)
    image = torch.randn(4, 3, 64, 64, dtype=torch.float64)
    expected, got = plain_pcnn(other, image), net(image)
    for one, two in ((got.logits, expected[0]), (got.local_logits, expected[1])):
        torch.testing.assert_close(one, two)
    (got.logits.square().sum() + got.local_logits.square().sum()).backward()
    sum(out.square().sum() for out in expected).backward()
    for (name, one), two in zip(net.named_parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(one.grad, two.grad, msg=name)
    for (name, one), two in zip(net.named_buffers(), other.buffers(), strict=True):
        torch.testing.assert_close(one, two, msg=name)


@pytest.mark.parametrize(
    ("regions", "trunks"), [("none", 1), ("two_random", 2), ("three", 3), ("four", 4), ("five", 5)]
)
@pytest.mark.parametrize("transformer", [True, False])
def test_ablations_are_arguments(regions, trunks, transformer):
    net = PCNNNetwork(3, 48, regions=regions, transformer=transformer, width=2)
    assert len(net.region_trunks) == len(net.local_fc) == trunks
    answer = net(torch.randn(2, 3, 48, 48))
    (answer.logits.sum() + answer.local_logits.sum()).backward()
    assert answer.logits.shape == answer.local_logits.shape == (2, 3)
    still = [name for name, parameter in net.named_parameters() if parameter.grad is None]
    assert still == []


def test_without_mdim_features_are_added_as_they_are():
    net = PCNNNetwork(3, 64, width=2).eval()
    bare = PCNNNetwork(3, 64, width=2, transformer=False).eval()
    bare.load_state_dict(net.state_dict(), strict=False)
    image = torch.randn(2, 3, 64, 64)
    # An untrained transformer is the identity.
    torch.testing.assert_close(net(image).logits, bare(image).logits, atol=1e-5, rtol=1e-5)


def test_a_layer4_of_its_own_is_counted():
    one, two = (PCNNNetwork(3, 64, width=4, share_layer4=share) for share in (True, False))
    more = sum(p.numel() for p in two.parameters()) - sum(p.numel() for p in one.parameters())
    assert more == sum(p.numel() for p in one.layer4.parameters())


def test_a_shared_layer4_may_have_norms_for_each_of_its_two_inputs():
    net = PCNNNetwork(3, 64, width=4, share_norms=False)
    more = sum(p.numel() for p in net.parameters())
    more -= sum(p.numel() for p in PCNNNetwork(3, 64, width=4).parameters())
    norms = [m for m in net.layer4.modules() if isinstance(m, nn.BatchNorm2d)]
    assert more == sum(p.numel() for norm in norms for p in norm.parameters())
    for other in (net, copy.deepcopy(net)):
        for name, weight in other.layer4.named_parameters():
            mine = other.mdim_layer4.get_parameter(name)
            assert (mine is weight) == (weight.ndim == 4)


@pytest.mark.parametrize(("norms", "close"), [(True, False), (False, True)])
def test_norms_of_their_own_are_tested_as_they_were_trained(norms, close):
    # In double precision and on one batch, whose statistics the running ones arrive at.
    net = PCNNNetwork(3, 48, width=2, stem="pooled", share_norms=norms).double()
    image = torch.randn(16, 3, 48, 48, dtype=torch.float64)
    with torch.no_grad():
        for _ in range(100):
            trained = net.train()(image).features
        tested = net.eval()(image).features
    off = (tested - trained).norm() / trained.norm()
    # Running variances divide by one sample less than those of a batch.
    assert off < 0.05 if close else off > 0.2


@pytest.mark.parametrize("size", [32, 100])
def test_sizes_that_cannot_be_cut_are_named(size):
    with pytest.raises(ValueError, match=f"multiple of 16 and at least 48, got {size}"):
        PCNNNetwork(7, size)


def test_images_of_another_size_are_named():
    with pytest.raises(ValueError, match="64x64 pixels, got 48x48"):
        PCNNNetwork(7, 64, width=2)(torch.zeros(1, 3, 48, 48))


def test_it_is_exported_as_a_graph():
    net = PCNNNetwork(3, 64, width=2).eval()
    image = torch.randn(2, 3, 64, 64)
    graph = torch.export.export(net, (image,)).module()
    torch.testing.assert_close(graph(image)[0], net(image).logits)
