from __future__ import annotations

import numpy as np
import torch
from scipy.ndimage import map_coordinates

from lightning_modules.networks.spatial_transformer import SpatialTransformer


def test_it_starts_as_the_identity_and_learns():
    transformer = SpatialTransformer(8 * 4)
    features = torch.rand(2, 3, 7, 7)
    moved = transformer(features, torch.randn(2, 8, 2, 2))
    torch.testing.assert_close(moved, features, atol=1e-5, rtol=1e-5)
    moved.square().sum().backward()
    last = transformer.localisation[-1]
    assert last.weight.grad.abs().sum() > 0


def test_it_samples_where_the_map_points():
    transformer = SpatialTransformer(4)
    theta = torch.tensor([0.8, 0.1, 0.05, -0.1, 0.85, 0.04])
    with torch.no_grad():
        transformer.localisation[-1].bias.copy_(theta)
    features = torch.rand(1, 1, 9, 11)
    moved = transformer(features, torch.zeros(1, 1, 2, 2))
    y, x = np.meshgrid(np.linspace(-1, 1, 9), np.linspace(-1, 1, 11), indexing="ij")
    a = theta.view(2, 3).numpy()
    to_x = (a[0, 0] * x + a[0, 1] * y + a[0, 2] + 1) / 2 * 10
    to_y = (a[1, 0] * x + a[1, 1] * y + a[1, 2] + 1) / 2 * 8
    expected = map_coordinates(features[0, 0].numpy(), [to_y, to_x], order=1)
    np.testing.assert_allclose(moved[0, 0].detach(), expected, atol=1e-5)


def test_a_limit_keeps_the_map_near_the_identity_and_leaves_small_moves_alone():
    free, limited = SpatialTransformer(4), SpatialTransformer(4, limit=0.3)
    features, clues = torch.rand(1, 1, 9, 9), torch.zeros(1, 1, 2, 2)
    near = torch.tensor([1.01, 0.0, 0.01, 0.0, 1.0, 0.0])
    # What a training without a limit arrived at: all of it left of the features.
    far = torch.tensor([0.09, 0.38, -2.01, 0.02, 0.05, -0.16])
    with torch.no_grad():
        for transformer in (free, limited):
            transformer.localisation[-1].bias.copy_(near)
        torch.testing.assert_close(
            free(features, clues), limited(features, clues), atol=1e-4, rtol=0
        )
        for transformer in (free, limited):
            transformer.localisation[-1].bias.copy_(far)
        assert free(features, clues).abs().max() == 0
    limited(features, clues).square().sum().backward()
    assert limited.localisation[-1].bias.grad.abs().sum() > 0
    inside = limited(torch.ones(1, 1, 9, 9), clues) > 0.5
    assert inside.float().mean() > 0.5
