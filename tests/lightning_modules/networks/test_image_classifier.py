from __future__ import annotations

import pytest
import torch

from lightning_modules.networks.image_classifier import ImageClassifier


def test_logits_and_features():
    model = ImageClassifier(5, 64, width=4).eval()
    image = torch.rand(2, 3, 64, 64)
    assert model(image).shape == (2, 5)
    shapes = [tuple(features.shape) for features in model.features(image)]
    assert shapes == [(2, 4, 32, 32), (2, 8, 16, 16), (2, 16, 8, 8), (2, 32, 4, 4)]


def test_images_too_small_are_refused():
    with pytest.raises(ValueError, match="got 8x8"):
        ImageClassifier(3, 8)
