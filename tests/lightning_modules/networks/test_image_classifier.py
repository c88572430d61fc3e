from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from lightning_modules.networks.image_classifier import ImageClassifier, fit_image_classifier


def faces(epoch: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Three classes that differ in where they are bright."""
    generator = torch.Generator().manual_seed(1)
    for _ in range(3):
        labels = torch.arange(6) % 3
        images = 0.3 * torch.rand(6, 3, 32, 32, generator=generator)
        for image, label in zip(images, labels.tolist(), strict=True):
            image[:, 10 * label : 10 * label + 8] += 0.6
        yield images, labels


def test_logits_and_features():
    model = ImageClassifier(5, 64, width=4).eval()
    image = torch.rand(2, 3, 64, 64)
    assert model(image).shape == (2, 5)
    shapes = [tuple(features.shape) for features in model.features(image)]
    assert shapes == [(2, 4, 32, 32), (2, 8, 16, 16), (2, 16, 8, 8), (2, 32, 4, 4)]


def test_it_learns_what_it_is_shown():
    model = ImageClassifier(3, 32)
    assert not model.fitted
    accuracy = fit_image_classifier(model, faces, epochs=15)
    assert accuracy > 0.9
    assert model.fitted
    assert not any(parameter.requires_grad for parameter in model.parameters())
    images, labels = next(faces())
    model.eval()
    assert (model(images).argmax(dim=1) == labels).float().mean() > 0.9


def test_fitting_is_a_function_of_the_seed_and_moves_no_other_random_state():
    models = [ImageClassifier(3, 32) for _ in range(3)]
    torch.manual_seed(7)
    fit_image_classifier(models[0], faces, epochs=2)
    drawn = torch.rand(3)
    torch.manual_seed(7)
    assert torch.equal(drawn, torch.rand(3))
    fit_image_classifier(models[1], faces, epochs=2)
    fit_image_classifier(models[2], faces, epochs=2, seed=1)
    weights = [model.classifier[-1].weight for model in models]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_it_stops_once_every_face_is_recognised():
    passes = 0

    def counted(epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        nonlocal passes
        passes += 1
        images, labels = next(faces())
        yield images[labels == 0], labels[labels == 0]

    assert fit_image_classifier(ImageClassifier(3, 32), counted, epochs=50) == 1.0
    assert passes < 50


def test_no_face_at_all_is_refused():
    with pytest.raises(ValueError, match="no face"):
        fit_image_classifier(ImageClassifier(3, 32), lambda epoch: iter(()), epochs=1)


def test_images_too_small_are_refused():
    with pytest.raises(ValueError, match="got 8x8"):
        ImageClassifier(3, 8)
