from __future__ import annotations

import pytest
import torch
from torch import nn

from lightning_modules.networks.dcgan import (
    DCGANDiscriminator,
    DCGANGenerator,
    gathering_statistics,
    keeping_statistics,
)


@pytest.mark.parametrize(("size", "features"), [(16, 128), (32, 256), (64, 512), (128, 1024)])
@pytest.mark.parametrize("channels", [1, 3])
def test_shapes(size, features, channels):
    generator = DCGANGenerator(latent=7, width=4, size=size, channels=channels)
    discriminator = DCGANDiscriminator(width=4, size=size, channels=channels)
    image = generator(torch.randn(2, 7))
    assert image.shape == (2, channels, size, size)
    assert image.abs().max() <= 1
    assert discriminator(image).shape == (2,)
    assert discriminator.features(image).shape == (2, features)


def test_the_papers_networks_have_8192_features_and_the_parameters_of_dcgan():
    generator, discriminator = DCGANGenerator(), DCGANDiscriminator()
    assert discriminator.features(torch.zeros(1, 3, 64, 64)).shape == (1, 8192)
    convolutions = [m for m in discriminator.modules() if isinstance(m, nn.Conv2d)]
    assert [m.out_channels for m in convolutions] == [64, 128, 256, 512, 1]
    assert {m.kernel_size for m in convolutions} == {(4, 4)}
    drawn = [m.out_channels for m in generator.modules() if isinstance(m, nn.ConvTranspose2d)]
    assert drawn == [512, 256, 128, 64, 3]
    # Neither the first layer of D nor the last of G is normalised.
    assert sum(isinstance(m, nn.BatchNorm2d) for m in discriminator.modules()) == 3
    assert sum(isinstance(m, nn.BatchNorm2d) for m in generator.modules()) == 4


def test_weights_come_from_the_papers_distribution():
    torch.manual_seed(0)
    for network in (DCGANGenerator(), DCGANDiscriminator()):
        for layer in network.modules():
            if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
                assert layer.weight.mean().abs() < 2e-3
                assert layer.weight.std().item() == pytest.approx(0.02, rel=0.05)
            elif isinstance(layer, nn.BatchNorm2d):
                assert layer.weight.mean().item() == pytest.approx(1, abs=0.02)
                assert not layer.bias.any()


def test_the_head_reads_the_features():
    discriminator = DCGANDiscriminator(width=4, size=16).eval()
    image = torch.randn(3, 3, 16, 16)
    weight, bias = discriminator.head.weight.flatten(), discriminator.head.bias
    torch.testing.assert_close(discriminator(image), discriminator.features(image) @ weight + bias)


def test_pooled_features_are_the_largest_of_each_block_in_a_grid_of_4_by_4():
    discriminator = DCGANDiscriminator(width=4, size=32).eval()
    image = torch.randn(2, 3, 32, 32)
    assert discriminator.pooled_widths == [4 * 16, 8 * 16, 16 * 16]
    features = discriminator.pooled_features(image)
    first, _, last = features.split(discriminator.pooled_widths, dim=1)
    maps = discriminator.blocks[:2](image)  # (B, 4, 16, 16): 4 x 4 places of 4 x 4 pixels
    expected = maps.view(2, 4, 4, 4, 4, 4).amax(dim=(3, 5)).flatten(1)
    torch.testing.assert_close(first, expected)
    torch.testing.assert_close(last, discriminator.features(image))
    means = discriminator.blocks(image).mean(dim=(2, 3))
    torch.testing.assert_close(discriminator.channel_means(features), means)
    torch.testing.assert_close(discriminator.channel_means(last), means)


def test_statistics_can_be_kept_and_gathered():
    discriminator = DCGANDiscriminator(width=4, size=16)
    norm = discriminator.blocks[2][1]
    image = torch.randn(8, 3, 16, 16)
    with keeping_statistics(discriminator):
        kept = discriminator(image)
    assert not norm.running_mean.any()
    assert norm.momentum == 0.1
    torch.testing.assert_close(kept, discriminator(image))
    assert norm.running_mean.any()
    discriminator.eval()
    with gathering_statistics(discriminator):
        discriminator(image[:4])
        discriminator(image[4:])
    assert not discriminator.training
    entering = discriminator.blocks[2][0](discriminator.blocks[:2](image))
    torch.testing.assert_close(norm.running_mean, entering.mean(dim=(0, 2, 3)))


def test_other_sizes_are_refused():
    with pytest.raises(ValueError, match="squares of 16, 32, 64, 128 pixels, but size is 48"):
        DCGANGenerator(size=48)
