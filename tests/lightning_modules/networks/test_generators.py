from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from lightning_modules.networks.blocks import ResidualBlock, upsample
from lightning_modules.networks.codec import FlowCodec
from lightning_modules.networks.flow_filter import FlowFilter
from lightning_modules.networks.flow_generator import FlowGenerator
from lightning_modules.networks.head_motion import remove_head_motion
from lightning_modules.networks.image_generator import ImageGenerator
from lightning_modules.networks.warp import warp


def millions(model: nn.Module) -> float:
    return sum(parameter.numel() for parameter in model.parameters()) / 1e6


def giga_macs(model: nn.Module, *inputs: torch.Tensor) -> float:
    with FlopCounterMode(display=False) as counter:
        model(*inputs)
    return counter.get_total_flops() / 2e9  # it counts a multiplication and an addition each


def test_the_flow_generator_of_the_paper_has_its_size():
    with torch.device("meta"):
        model = FlowGenerator()
        macs = giga_macs(model, torch.empty(1, 2, 128, 128))
    assert millions(model) == pytest.approx(160.7, abs=0.05)
    assert macs == pytest.approx(24.2, abs=0.05)


def test_the_image_generator_of_the_paper_has_its_size():
    with torch.device("meta"):
        model = ImageGenerator(FlowCodec())
        macs = giga_macs(model, torch.empty(1, 3, 128, 128), torch.empty(1, 2, 128, 128))
    assert millions(model) == pytest.approx(107.7, abs=0.05)
    assert macs == pytest.approx(65.8, abs=0.05)


@pytest.mark.parametrize(("height", "width"), [(32, 32), (64, 64), (128, 128), (48, 80)])
def test_flows_keep_their_size_and_fit_the_codec(height, width):
    out = FlowGenerator(4)(torch.randn(2, 2, height, width))
    assert out.shape == (2, 2, height, width)
    assert out.abs().max() <= 1


@pytest.mark.parametrize("prior", ["none", "warp"])
@pytest.mark.parametrize("size", [16, 64, 128])
def test_faces_keep_their_size_and_range(prior, size):
    model = ImageGenerator(FlowCodec(), 4, prior=prior)
    face = model(torch.rand(2, 3, size, size), torch.rand(2, 2, size, size) - 0.5)
    assert face.shape == (2, 3, size, size)
    assert face.min() >= 0
    assert face.max() <= 1


@pytest.mark.parametrize("size", [8, 16, 40, 100])
def test_the_flow_generator_refuses_sizes_it_cannot_halve(size):
    with pytest.raises(ValueError, match=f"multiples of 16 and at least 32 .* got {size}x{size}"):
        FlowGenerator(4)(torch.zeros(1, 2, size, size))


def test_the_image_generator_refuses_sizes_it_cannot_halve():
    with pytest.raises(ValueError, match=r"multiples of 8 and at least 16 .* got 20x20"):
        ImageGenerator(FlowCodec(), 4)(torch.zeros(1, 3, 20, 20), torch.zeros(1, 2, 20, 20))


def test_an_upsampling_block_normalizes_over_channels_and_space():
    block = upsample(8)
    convolved = block[1](block[0](torch.randn(3, 8, 5, 6)))
    normalized = block[2](convolved)
    expected = nn.functional.layer_norm(convolved, convolved.shape[1:])
    torch.testing.assert_close(normalized, expected, atol=1e-5, rtol=1e-4)
    assert block[2].weight.shape == (4,)


def test_a_residual_block_without_weights_passes_on():
    block = ResidualBlock(4)
    for parameter in block.parameters():
        nn.init.zeros_(parameter)
    features = torch.randn(2, 4, 6, 6)
    torch.testing.assert_close(block(features), features)


def test_every_weight_of_the_generators_learns():
    codec = FlowCodec()
    image, flow = torch.rand(2, 3, 32, 32), torch.rand(2, 2, 32, 32) - 0.5
    outputs = {
        FlowGenerator(4): (flow,),
        FlowFilter(FlowCodec(10.0, "cartesian"), 4): (flow,),
        ImageGenerator(codec, 4): (image, flow),
        ImageGenerator(codec, 4, prior="warp"): (image, flow),
    }
    for model, inputs in outputs.items():
        model(*inputs).square().sum().backward()
        still = [
            name
            for name, parameter in model.named_parameters()
            if parameter.grad is None or not parameter.grad.abs().sum() > 0
        ]
        assert not still


def test_the_filter_starts_at_half_of_what_the_head_leaves():
    codec = FlowCodec(10.0, "cartesian")
    posed = codec.encode(torch.randn(2, 2, 64, 64))
    left = codec.encode(remove_head_motion(codec.decode(posed)))
    torch.testing.assert_close(FlowFilter(codec, 4)(posed), left / 2, atol=0.2, rtol=0)


def test_the_filter_lets_nothing_through_a_closed_gate():
    model = FlowFilter(FlowCodec(10.0, "cartesian"), 4)
    nn.init.zeros_(model.head.weight)
    with torch.no_grad():
        model.head.bias.copy_(torch.tensor([0.1, -0.2, -20.0]))
    out = model(torch.rand(2, 2, 32, 32) - 0.5)
    expected = torch.tensor([0.1, -0.2]).tanh().view(1, 2, 1, 1).expand(2, 2, 32, 32)
    torch.testing.assert_close(out, expected, atol=1e-6, rtol=0)


def test_the_filter_refuses_angles():
    with pytest.raises(ValueError, match="choose representation cartesian"):
        FlowFilter(FlowCodec(10.0, "polar"), 4)


def test_the_warp_prior_starts_at_the_moved_face():
    codec = FlowCodec(10.0, "cartesian")
    image = torch.rand(2, 3, 32, 32)
    encoded = torch.full((2, 2, 32, 32), 0.1)
    face = ImageGenerator(codec, 4, prior="warp")(image, encoded)
    moved = warp(image, codec.decode(encoded))
    assert (face - moved).abs().max() < 0.1
    assert (face - image).abs().mean() > 10 * (face - moved).abs().mean()
