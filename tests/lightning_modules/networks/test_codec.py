from __future__ import annotations

import math

import pytest
import torch

from lightning_modules.networks.codec import FlowCodec

REPRESENTATIONS = ["polar", "cartesian", "authors"]


def random_flow(longest: float, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    angle = (2 * torch.rand(4, 16, 16, generator=generator) - 1) * math.pi
    length = torch.rand(4, 16, 16, generator=generator) * longest
    return torch.stack((length * angle.cos(), length * angle.sin()), dim=1)


@pytest.mark.parametrize("representation", REPRESENTATIONS)
@pytest.mark.parametrize("clip", [0.5, 10.0, 64.0])
@pytest.mark.parametrize("seed", range(3))
def test_flows_within_the_clip_come_back(representation, clip, seed):
    codec = FlowCodec(clip, representation)
    flow = random_flow(clip, seed)
    torch.testing.assert_close(codec.decode(codec.encode(flow)), flow, atol=2e-6 * clip, rtol=0)


@pytest.mark.parametrize("representation", REPRESENTATIONS)
def test_longer_vectors_are_cut_and_keep_their_direction(representation):
    codec = FlowCodec(10.0, representation)
    flow = random_flow(100.0)
    back = codec.decode(codec.encode(flow))
    torch.testing.assert_close(
        torch.linalg.vector_norm(back, dim=1),
        torch.linalg.vector_norm(flow, dim=1).clamp(max=10.0),
    )
    cross = flow[:, 0] * back[:, 1] - flow[:, 1] * back[:, 0]
    torch.testing.assert_close(cross / 100, torch.zeros_like(cross), atol=1e-4, rtol=0)
    assert ((flow * back).sum(dim=1) >= 0).all()


@pytest.mark.parametrize("representation", REPRESENTATIONS)
def test_what_networks_read_fits_a_tanh(representation):
    encoded = FlowCodec(10.0, representation).encode(random_flow(100.0))
    assert encoded.dtype == torch.float32
    assert encoded.abs().max() <= 1 + 1e-6


def test_polar_of_known_vectors():
    flow = torch.tensor([[5.0, 0.0], [0.0, 5.0], [-20.0, 0.0], [0.0, -1.0]]).view(4, 2, 1, 1)
    encoded = FlowCodec(10.0, "polar").encode(flow).flatten(1)
    expected = torch.tensor([[0.5, 0.0], [0.5, 0.5], [1.0, 1.0], [0.1, -0.5]])
    torch.testing.assert_close(encoded, expected)


def test_the_authors_code_of_known_vectors():
    flow = torch.tensor([[5.0, 0.0], [0.0, 5.0], [-20.0, 0.0], [0.0, -1.0]]).view(4, 2, 1, 1)
    encoded = FlowCodec(10.0, "authors").encode(flow).flatten(1)
    expected = torch.tensor([[0.0, 1.0], [0.0, 0.5], [-1.0, 0.0], [0.8, -0.5]])
    torch.testing.assert_close(encoded, expected)


@pytest.mark.parametrize("representation", REPRESENTATIONS)
def test_encoded_flows_are_scaled_as_vectors(representation):
    codec, flow = FlowCodec(10.0, representation), random_flow(4.0)
    encoded = codec.encode(flow)
    assert torch.equal(codec.scale(encoded, 1.0), encoded)
    for factor in (0.0, 0.5, 2.0):
        scaled = codec.decode(codec.scale(encoded, factor))
        torch.testing.assert_close(scaled, factor * flow, atol=1e-5, rtol=1e-5)


def test_a_negative_magnitude_is_the_opposite_direction():
    codec = FlowCodec(10.0, "polar")
    backward = torch.tensor([-0.3, 0.25]).view(1, 2, 1, 1)
    forward = torch.tensor([0.3, -0.75]).view(1, 2, 1, 1)
    torch.testing.assert_close(codec.decode(backward), codec.decode(forward))


@pytest.mark.parametrize("representation", REPRESENTATIONS)
def test_no_motion_is_zero_and_has_finite_gradients(representation):
    codec = FlowCodec(10.0, representation)
    flow = torch.zeros(1, 2, 4, 4, requires_grad=True)
    encoded = codec.encode(flow)
    decoded = codec.decode(encoded)
    (encoded.sum() + decoded.sum()).backward()
    still = torch.full_like(encoded, 1.0 if representation == "authors" else 0.0)
    assert torch.equal(encoded, still)
    assert torch.equal(decoded, torch.zeros_like(decoded))
    assert flow.grad is not None
    assert flow.grad.isfinite().all()


@pytest.mark.parametrize("representation", REPRESENTATIONS)
def test_gradients_of_moving_pixels_survive_the_round_trip(representation):
    codec = FlowCodec(10.0, representation)
    flow = random_flow(9.0).requires_grad_()
    weights = torch.randn_like(flow)
    (codec.decode(codec.encode(flow)) * weights).sum().backward()
    assert flow.grad is not None
    torch.testing.assert_close(flow.grad, weights, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("representation", REPRESENTATIONS)
def test_unit_vectors_have_the_clip_as_unit(representation):
    codec = FlowCodec(4.0, representation)
    encoded = codec.encode(random_flow(4.0))
    torch.testing.assert_close(4.0 * codec.unit_vectors(encoded), codec.decode(encoded))


@pytest.mark.parametrize("representation", REPRESENTATIONS)
def test_half_precision_is_decoded_in_single(representation):
    encoded = FlowCodec(10.0, representation).encode(random_flow(10.0)).bfloat16()
    assert FlowCodec(10.0, representation).decode(encoded).dtype == torch.float32


@pytest.mark.parametrize("clip", [0.0, -1.0, math.nan, math.inf])
def test_a_clip_that_is_no_length_is_refused(clip):
    with pytest.raises(ValueError, match="above 0"):
        FlowCodec(clip)


def test_an_unknown_representation_is_refused():
    with pytest.raises(ValueError, match="'complex'"):
        FlowCodec(10.0, "complex")
