from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from losses.perceptual import PerceptualLoss, perceptual_loss


class TwoLayers(nn.Module):
    """An extractor with a mode that shows."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3)
        self.second = nn.BatchNorm2d(4)

    def forward(self, image: Tensor) -> list[Tensor]:
        one = self.first(image)
        return [one, self.second(one)]


@pytest.fixture
def images() -> tuple[Tensor, Tensor]:
    return torch.rand(2, 3, 8, 8), torch.rand(2, 3, 8, 8)


def test_known_value(images):
    pred, target = images

    def extractor(image: Tensor) -> list[Tensor]:
        return [image, 2 * image.mean((2, 3))]

    pixels = (pred - target).abs().mean()
    means = 2 * (pred.mean((2, 3)) - target.mean((2, 3))).abs().mean()
    torch.testing.assert_close(perceptual_loss(pred, target, extractor), pixels + means)


def test_equal_images_are_at_distance_zero(images):
    assert perceptual_loss(images[0], images[0], TwoLayers().eval()) == 0


def test_distance_is_symmetric_and_positive(images):
    pred, target = images
    extractor = TwoLayers().eval()
    distance = perceptual_loss(pred, target, extractor)
    assert distance > 0
    torch.testing.assert_close(distance, perceptual_loss(target, pred, extractor))


def test_gradient_reaches_the_prediction_alone(images):
    pred, target = (image.clone().requires_grad_() for image in images)
    loss = PerceptualLoss(TwoLayers())
    loss(pred, target).backward()
    assert pred.grad is not None
    assert pred.grad.abs().sum() > 0
    assert target.grad is None
    assert all(parameter.grad is None for parameter in loss.parameters())


def test_gradient_agrees_with_finite_differences():
    extractor = TwoLayers().double().eval().requires_grad_(False)
    pred = torch.rand(1, 3, 5, 5, dtype=torch.float64, requires_grad=True)
    target = torch.rand(1, 3, 5, 5, dtype=torch.float64)

    def features(image: Tensor) -> list[Tensor]:
        return [extractor.first(image)]

    assert torch.autograd.gradcheck(lambda image: perceptual_loss(image, target, features), (pred,))


def test_module_stays_in_evaluation_mode_and_equals_the_function(images):
    extractor = TwoLayers()
    loss = PerceptualLoss(extractor)
    loss.train()
    assert loss.training
    assert not extractor.training
    before = extractor.second.running_mean.clone()
    torch.testing.assert_close(loss(*images), perceptual_loss(*images, extractor))
    assert torch.equal(extractor.second.running_mean, before)


def test_images_of_two_shapes_are_refused():
    with pytest.raises(ValueError, match=r"got \(1, 3, 4, 4\) and \(1, 3, 8, 8\)"):
        perceptual_loss(torch.rand(1, 3, 4, 4), torch.rand(1, 3, 8, 8), TwoLayers())
