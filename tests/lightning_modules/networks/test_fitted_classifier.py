from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from lightning_modules.networks.fitted_classifier import fit_classifier
from lightning_modules.networks.flow_judge import FlowJudge
from lightning_modules.networks.image_classifier import ImageClassifier


def faces(epoch: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Three classes that differ in where they are bright."""
    generator = torch.Generator().manual_seed(1)
    for _ in range(3):
        labels = torch.arange(6) % 3
        images = 0.3 * torch.rand(6, 3, 32, 32, generator=generator)
        for image, label in zip(images, labels.tolist(), strict=True):
            image[:, 10 * label : 10 * label + 8] += 0.6
        yield images, labels


def test_it_learns_what_it_is_shown():
    model = ImageClassifier(3, 32)
    assert not model.fitted
    accuracy = fit_classifier(model, faces, name="it", epochs=15)
    assert accuracy > 0.9
    assert model.fitted
    assert not any(parameter.requires_grad for parameter in model.parameters())
    images, labels = next(faces())
    model.eval()
    assert (model(images).argmax(dim=1) == labels).float().mean() > 0.9


def test_fitting_is_a_function_of_the_seed_and_moves_no_other_random_state():
    models = [ImageClassifier(3, 32) for _ in range(3)]
    torch.manual_seed(7)
    fit_classifier(models[0], faces, name="it", epochs=2)
    drawn = torch.rand(3)
    torch.manual_seed(7)
    assert torch.equal(drawn, torch.rand(3))
    fit_classifier(models[1], faces, name="it", epochs=2)
    fit_classifier(models[2], faces, name="it", epochs=2, seed=1)
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

    assert fit_classifier(ImageClassifier(3, 32), counted, name="it", epochs=50) == 1.0
    assert passes < 50


def test_few_samples_are_passed_more_often() -> None:
    passed = []

    def counted(epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        passed.append(epoch)
        # Noise, which is not recognised so soon.
        yield torch.rand(64, 3, 32, 32), torch.arange(64) % 3

    fit_classifier(ImageClassifier(3, 32), counted, name="it", epochs=2, steps=5)
    assert passed == [0, 1, 2, 3, 4]


def test_no_sample_at_all_is_refused():
    with pytest.raises(ValueError, match="it has nothing to learn from"):
        fit_classifier(ImageClassifier(3, 32), lambda epoch: iter(()), name="it", epochs=1)


def flows(epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Two classes: what is left of the middle moves inwards, or outwards."""
    labels = torch.arange(8) % 2
    flow = torch.zeros(8, 2, 32, 32)
    flow[:, 0, :, :16] = (2.0 * labels - 1).view(8, 1, 1)
    yield flow, labels


def test_mirrored_flows_keep_their_class() -> None:
    """The mirror of a left half that moves inwards is a right half that moves inwards."""
    judge = FlowJudge(2, 32)
    fit_classifier(judge, flows, name="it", epochs=40)
    flow, labels = next(flows(0))
    mirrored = judge.mirror(flow)
    assert torch.equal(mirrored[:, 0, :, 16:], -flow[:, 0, :, :16].flip(-1))
    judge.eval()
    for seen in (flow, mirrored):
        assert torch.equal(judge(seen).argmax(dim=1), labels)
