from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from lightning_modules.networks.blocks import ResidualBlock, Upsample
from lightning_modules.networks.codec import FlowCodec
from lightning_modules.networks.flow_filter import FlowFilter
from lightning_modules.networks.flow_generator import FlowGenerator
from lightning_modules.networks.image_generator import ImageGenerator
from lightning_modules.networks.warp import warp


def millions(model: nn.Module) -> float:
    return sum(parameter.numel() for parameter in model.parameters()) / 1e6


def giga_macs(model: nn.Module, *inputs: torch.Tensor) -> float:
    with FlopCounterMode(display=False) as counter:
        model(*inputs)
    return counter.get_total_flops() / 2e9  # it counts a multiplication and an addition each


def test_the_flow_generator_of_the_paper_has_its_size(monkeypatch):
    with torch.device("meta"):
        model, flow = FlowGenerator(), torch.empty(1, 2, 128, 128)
        assert millions(model) == pytest.approx(160.7, abs=0.05)
        assert giga_macs(model, flow) == pytest.approx(16.3, abs=0.05)
        monkeypatch.setattr(Upsample, "forward", nn.Sequential.forward)
        assert giga_macs(model, flow) == pytest.approx(24.2, abs=0.05)


def test_the_image_generator_of_the_paper_has_its_size(monkeypatch):
    with torch.device("meta"):
        model = ImageGenerator(FlowCodec())
        inputs = torch.empty(1, 3, 128, 128), torch.empty(1, 2, 128, 128)
        assert millions(model) == pytest.approx(107.7, abs=0.05)
        assert giga_macs(model, *inputs) == pytest.approx(40.6, abs=0.05)
        monkeypatch.setattr(Upsample, "forward", nn.Sequential.forward)
        assert giga_macs(model, *inputs) == pytest.approx(65.8, abs=0.05)


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
    block = Upsample(8)
    convolved = block[1](block[0](torch.randn(3, 8, 5, 6)))
    normalized = block[2](convolved)
    expected = nn.functional.layer_norm(convolved, convolved.shape[1:])
    torch.testing.assert_close(normalized, expected, atol=1e-5, rtol=1e-4)
    assert block[2].weight.shape == (4,)


@pytest.mark.parametrize("side", [(1, 1), (5, 6)])
def test_an_upsampling_block_is_its_layers_one_after_the_other(side):
    block = Upsample(8)
    features = torch.randn(2, 8, *side, requires_grad=True)
    weights = [features, *block.parameters()]
    plain, fast = nn.Sequential.forward(block, features), block(features)
    torch.testing.assert_close(fast, plain, atol=1e-5, rtol=1e-4)
    slope = torch.randn_like(plain)
    of_plain = torch.autograd.grad((slope * plain).sum(), weights)
    for one, other in zip(
        torch.autograd.grad((slope * fast).sum(), weights), of_plain, strict=True
    ):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-3)


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
        FlowFilter(FlowCodec(10.0, "cartesian"), 32, 4): (flow,),
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


@pytest.fixture
def flow_filter() -> FlowFilter:
    """A filter whose subspaces know flows of the face below and shifts of the head."""
    model = FlowFilter(FlowCodec(10.0, "cartesian"), 32, 4)
    facial, head = torch.zeros(20, 2, 32, 32), torch.randn(20, 2, 1, 1).expand(20, 2, 32, 32)
    facial[:, :, 20:26, 12:20] = torch.randn(20, 2, 1, 1)
    model.fit_subspaces(facial, facial + head, torch.arange(20) % 5)
    return model


def test_the_filter_starts_at_the_facial_motion_of_its_subspaces(flow_filter):
    posed = torch.full((2, 2, 32, 32), 0.1)
    posed[:, :, 20:26, 12:20] += 0.1
    facial, _ = flow_filter.subspaces(flow_filter.codec.decode(posed))
    assert facial.abs().max() > 0.5
    found = flow_filter.codec.decode(flow_filter(posed))
    torch.testing.assert_close(found, facial, atol=0.25, rtol=0.15)


def test_the_filter_lets_nothing_through_a_closed_gate(flow_filter):
    nn.init.zeros_(flow_filter.head.weight)
    with torch.no_grad():
        flow_filter.head.bias.copy_(torch.tensor([0.1, -0.2, -20.0]))
    out = flow_filter(torch.rand(2, 2, 32, 32) - 0.5)
    expected = torch.tensor([0.01, -0.02]).view(1, 2, 1, 1).expand(2, 2, 32, 32)
    torch.testing.assert_close(out, expected, atol=1e-6, rtol=0)


def test_in_training_a_flow_is_split_by_what_its_own_people_did_not_teach(flow_filter):
    posed = torch.randn(4, 2, 32, 32) * 0.1
    person = torch.tensor([0, 4, 2, 7])
    found = flow_filter(posed, person)
    for flow, expected, group in zip(posed, found, person % 3, strict=True):
        other = copy.deepcopy(flow_filter)
        other.subspaces = flow_filter.held_out[int(group)]
        torch.testing.assert_close(other(flow.unsqueeze(0))[0], expected, atol=1e-5, rtol=1e-4)
    assert not torch.equal(flow_filter(posed), found)


def test_subspaces_of_one_person_hold_nobody_out():
    model = FlowFilter(FlowCodec(10.0, "cartesian"), 32, 4)
    flows = torch.randn(5, 2, 32, 32)
    model.fit_subspaces(flows, 2 * flows, torch.zeros(5, dtype=torch.int64))
    assert all(subspaces.fitted for subspaces in model.held_out)


def test_the_filter_refuses_angles():
    with pytest.raises(ValueError, match="choose representation cartesian"):
        FlowFilter(FlowCodec(10.0, "polar"), 32, 4)


def test_the_warp_prior_starts_at_the_moved_face():
    codec = FlowCodec(10.0, "cartesian")
    image = torch.rand(2, 3, 32, 32)
    encoded = torch.full((2, 2, 32, 32), 0.1)
    face = ImageGenerator(codec, 4, prior="warp")(image, encoded)
    moved = warp(image, codec.decode(encoded))
    assert (face - moved).abs().max() < 0.1
    assert (face - image).abs().mean() > 10 * (face - moved).abs().mean()


def test_the_warp_prior_paints_no_colour_and_nothing_where_nothing_moves():
    codec = FlowCodec(10.0, "cartesian")
    model = ImageGenerator(codec, 4, prior="warp")
    nn.init.normal_(model.decoder[-1].weight)
    image = 0.4 + 0.2 * torch.rand(1, 1, 32, 32).expand(1, 3, 32, 32)
    still = torch.zeros(1, 2, 32, 32)
    moving = still.clone()
    moving[..., :16] = 0.1
    torch.testing.assert_close(model(image, still), image)
    change = model(image, moving) - warp(image, codec.decode(moving))
    assert change[..., :16].abs().mean() > 0.1
    assert not change[..., 24:].any()
    torch.testing.assert_close(change, change[:, :1].expand_as(change))
