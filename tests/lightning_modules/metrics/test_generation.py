from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from scipy.spatial.distance import cdist

from lightning_modules.metrics.generation import (
    GenerationQuality,
    nearest_neighbour_diversity,
    pairwise_ssim,
)
from losses.ssim import ssim_loss

# From the mean colour of a face to its three features.
MIX = torch.tensor([[1.0, 2.0, 0.0], [0.0, 1.0, 3.0], [2.0, 0.0, 1.0]])


def faces(count: int, seed: int) -> torch.Tensor:
    return torch.rand(count, 3, 16, 16, generator=torch.Generator().manual_seed(seed))


def filled(real: torch.Tensor, generated: torch.Tensor) -> dict[str, float]:
    quality = GenerationQuality(3, keep=100, device=torch.device("cpu"))
    for images, add in ((real, quality.add_real), (generated, quality.add_generated)):
        for chunk in images.split(7):
            add(chunk, chunk.mean(dim=(2, 3)) @ MIX)
    return {name: float(value) for name, value in quality.summarize("net").items()}


def test_values_are_those_of_their_formulas():
    real, generated = faces(20, 0), faces(20, 1) ** 2
    found = filled(real, generated)
    vectors = [(images.mean(dim=(2, 3)) @ MIX).double().numpy() for images in (real, generated)]
    covariances = [np.cov(vector.T) for vector in vectors]
    means = [vector.mean(axis=0) for vector in vectors]
    distance = ((means[0] - means[1]) ** 2).sum() + np.trace(
        covariances[0] + covariances[1] - 2 * sqrtm(covariances[0] @ covariances[1]).real
    )
    assert found["fid_net"] == pytest.approx(distance, abs=1e-4)
    distances = cdist(generated.flatten(1), generated.flatten(1)) / np.sqrt(3 * 256)
    np.fill_diagonal(distances, np.inf)
    own = distances.min(axis=1).mean()
    assert nearest_neighbour_diversity(generated).item() == pytest.approx(own, rel=1e-6)
    assert found["diversity"] == pytest.approx(own / nearest_neighbour_diversity(real).item())
    pairs = [1 - ssim_loss(real[i : i + 1], real[i - 1 : i] if i else real[-1:]) for i in range(20)]
    assert found["ssim_real"] == pytest.approx(torch.stack(pairs).mean().item(), abs=1e-5)


def test_a_generator_that_has_collapsed_shows():
    real = faces(20, 0)
    one_face = faces(1, 1).expand(20, -1, -1, -1) + 0.001 * faces(20, 2)
    collapsed = filled(real, one_face)
    healthy = filled(real, faces(20, 3))
    assert collapsed["diversity"] < 0.01
    assert healthy["diversity"] == pytest.approx(1, abs=0.05)
    assert collapsed["ssim_generated"] > 0.99
    assert healthy["ssim_generated"] < 0.2


def test_ssim_pairs_reach_over_the_chunks():
    image = faces(300, 0)
    whole = pairwise_ssim(image)
    assert pairwise_ssim(image.flip(0)).item() == pytest.approx(whole.item())


def test_too_few_images_give_no_number():
    quality = GenerationQuality(3, keep=100, device=torch.device("cpu"))
    quality.add_real(faces(1, 0), torch.zeros(1, 3))
    quality.add_generated(faces(2, 0), torch.zeros(2, 3))
    assert quality.summarize("net") == {}
