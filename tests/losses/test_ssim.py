from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from losses.ssim import SSIMLoss, _similarity, ssim_loss


@pytest.fixture
def images() -> tuple[torch.Tensor, torch.Tensor]:
    target = torch.rand(3, 2, 24, 20)
    return (target + 0.2 * torch.randn_like(target)).clamp(0, 1), target


def wang(pred: torch.Tensor, target: torch.Tensor, data_range: float = 1.0) -> np.ndarray:
    """The map of scikit-image under the window of Wang et al., its padded border cut off."""
    _, similarity = structural_similarity(
        pred.double().numpy(),
        target.double().numpy(),
        data_range=data_range,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        full=True,
    )
    return similarity[5:-5, 5:-5]


def test_agrees_with_scikit_image(images):
    loss = ssim_loss(*images, reduction="none")
    assert loss.shape == images[0].shape
    for sample in range(3):
        for channel in range(2):
            expected = 1 - wang(*(image[sample, channel] for image in images))
            actual = loss[sample, channel, 5:-5, 5:-5].numpy()
            np.testing.assert_allclose(actual, expected, atol=2e-5)


@pytest.mark.parametrize("data_range", [0.2, 1.0])
def test_what_runs_on_accelerators_agrees_with_what_runs_on_processors(images, data_range):
    on_processor = ssim_loss(*images, data_range=data_range, window_size=7, reduction="none")
    on_accelerator = 1 - _similarity(*images, 7, data_range)
    torch.testing.assert_close(on_accelerator, on_processor, atol=2e-5, rtol=1e-5)


def test_small_motion_around_one_half_agrees_with_scikit_image():
    """What encoded flows look like: variances far below the squared means."""
    target = 0.5 + 0.01 * torch.randn(1, 1, 32, 32)
    pred = target + 0.003 * torch.randn_like(target)
    actual = ssim_loss(pred, target, reduction="none")[0, 0, 5:-5, 5:-5].numpy()
    np.testing.assert_allclose(actual, 1 - wang(pred[0, 0], target[0, 0]), atol=2e-4)


@pytest.mark.parametrize("data_range", [0.2, 255.0])
def test_a_data_range_agrees_with_scikit_image(images, data_range):
    pred, target = (data_range * image for image in images)
    loss = ssim_loss(pred, target, data_range=data_range, reduction="none")
    expected = 1 - wang(pred[0, 0], target[0, 0], data_range)
    np.testing.assert_allclose(loss[0, 0, 5:-5, 5:-5].numpy(), expected, atol=5e-5)


def test_small_motion_is_compared_by_structure_in_its_own_range_alone():
    """In a range of 1 the loss is the squared error; in its own a pattern of half the strength is
    nearer than one of the right strength that is upside down."""
    target = 0.5 + 0.01 * torch.randn(1, 1, 32, 32)
    weaker, inverted = 0.5 + 0.5 * (target - 0.5), 1 - target

    def ratio(data_range: float) -> float:
        losses = [ssim_loss(pred, target, data_range=data_range) for pred in (inverted, weaker)]
        return (losses[0] / losses[1]).item()

    squared = ((inverted - target) ** 2).mean() / ((weaker - target) ** 2).mean()
    assert ratio(1.0) == pytest.approx(squared.item(), rel=0.15)
    assert ratio(0.04) < 0.8 * ratio(1.0)


def test_constant_images_differ_in_luminance_alone():
    low, high = 0.25, 0.5
    pred, target = torch.full((1, 1, 16, 16), low), torch.full((1, 1, 16, 16), high)
    luminance = (2 * low * high + 1e-4) / (low**2 + high**2 + 1e-4)
    torch.testing.assert_close(ssim_loss(pred, target), torch.tensor(1 - luminance))


def test_equal_images_lose_nothing_and_inverted_ones_most(images):
    _, target = images
    assert ssim_loss(target, target).item() == pytest.approx(0, abs=1e-6)
    assert ssim_loss(1 - target, target).item() > 1


def test_is_symmetric_and_grows_with_noise(images):
    pred, target = images
    torch.testing.assert_close(ssim_loss(pred, target), ssim_loss(target, pred))
    noise = torch.randn_like(target)
    losses = [ssim_loss(target + level * noise, target).item() for level in (0, 0.05, 0.1, 0.3)]
    assert losses == sorted(losses)


def test_reductions(images):
    each = ssim_loss(*images, reduction="none")
    torch.testing.assert_close(ssim_loss(*images), each.mean())
    torch.testing.assert_close(ssim_loss(*images, reduction="sum"), each.sum())
    with pytest.raises(ValueError, match="'median'"):
        ssim_loss(*images, reduction="median")


def test_gradient_agrees_with_finite_differences():
    target = torch.rand(1, 2, 7, 7, dtype=torch.float64)
    pred = torch.rand(1, 2, 7, 7, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda p: ssim_loss(p, target, window_size=5), (pred,))


def test_gradient_is_zero_where_images_agree():
    still = torch.full((1, 2, 16, 16), 0.5, requires_grad=True)
    ssim_loss(still, still.detach()).backward()
    assert still.grad is not None
    assert still.grad.abs().max() < 1e-6


def test_half_precision_is_compared_in_single(images):
    half = [image.bfloat16() for image in images]
    loss = ssim_loss(*half)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, ssim_loss(*(image.float() for image in half)))


def test_autocast_changes_nothing(images):
    with torch.autocast("cpu", torch.bfloat16):
        inside = ssim_loss(*images)
    torch.testing.assert_close(inside, ssim_loss(*images))


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_module_equals_function(images, reduction):
    torch.testing.assert_close(
        SSIMLoss(window_size=7, data_range=0.4, reduction=reduction)(*images),
        ssim_loss(*images, window_size=7, data_range=0.4, reduction=reduction),
    )


def test_what_cannot_be_compared_is_refused():
    image = torch.zeros(1, 2, 16, 16)
    with pytest.raises(ValueError, match=r"\(1, 2, 16, 16\) and \(1, 1, 16, 16\)"):
        ssim_loss(image, image[:, :1])
    with pytest.raises(ValueError, match="window of 10"):
        ssim_loss(image, image, window_size=10)
    with pytest.raises(ValueError, match="images of 5x16"):
        ssim_loss(image[..., :5, :], image[..., :5, :])
    with pytest.raises(ValueError, match="above 0, got 0"):
        ssim_loss(image, image, data_range=0.0)
