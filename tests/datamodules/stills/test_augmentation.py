from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy import ndimage

from datamodules.stills.augmentation import Augmentation

NOTHING = {"flip": 0.0, "rotation_p": 0.0, "crop_p": 0.0, "erasing_p": 0.0}


def only(**kwargs: Any) -> Augmentation:
    return Augmentation(**{**NOTHING, **kwargs})


@pytest.mark.parametrize("channels", [1, 3])
def test_shape_and_range_stay(channels: int) -> None:
    images = torch.rand(32, channels, 24, 24)
    changed = Augmentation(rotation_p=1.0, crop_p=1.0, erasing_p=1.0)(images)
    assert changed.shape == images.shape
    assert changed.dtype == torch.float32
    assert changed.min() >= 0
    assert changed.max() <= 1
    assert (changed != images).flatten(1).any(dim=1).all()


def test_without_probabilities_nothing_changes() -> None:
    images = torch.rand(4, 3, 16, 16)
    torch.testing.assert_close(only()(images), images, rtol=0, atol=0)


def test_the_seed_fixes_the_changes() -> None:
    images = torch.rand(8, 1, 16, 16)
    augmentation = Augmentation()
    torch.manual_seed(5)
    first, second = augmentation(images), augmentation(images)
    torch.manual_seed(5)
    assert torch.equal(augmentation(images), first)
    assert not torch.equal(first, second)
    # A copy of the state is enough: that is what makes a resumed run the same.
    state = torch.get_rng_state()
    third = augmentation(images)
    torch.set_rng_state(state)
    assert torch.equal(Augmentation()(images), third)


def test_a_flip_mirrors_the_image() -> None:
    images = torch.rand(200, 1, 8, 8)
    flipped = only(flip=1.0)(images)
    torch.testing.assert_close(flipped, images.flip(-1))
    half = only(flip=0.5)(images)
    mirrored = (half == images.flip(-1)).flatten(1).all(dim=1)
    same = (half == images).flatten(1).all(dim=1)
    assert (mirrored ^ same).all()
    assert 70 < mirrored.sum() < 130


def test_a_rotation_turns_about_the_centre_by_up_to_its_limit() -> None:
    """The angle is read from where a spot went; SciPy turns the image by it as well."""
    spot = np.zeros((41, 41), np.float32)
    spot[20, 34] = 1
    smooth = ndimage.gaussian_filter(spot, 2)
    smooth /= smooth.max()
    turned = only(rotation=20.0, rotation_p=1.0)(torch.from_numpy(smooth).expand(100, 1, 41, 41))
    angles = []
    for image in turned[:, 0].numpy():
        y, x = ndimage.center_of_mass(image)
        assert np.hypot(y - 20, x - 20) == pytest.approx(14, abs=0.3)
        angles.append(np.degrees(np.arctan2(20 - y, x - 20)))
        expected = ndimage.rotate(smooth, angles[-1], reshape=False, order=1)
        np.testing.assert_allclose(image, expected, atol=0.05)
    assert -20.5 < min(angles) < -15
    assert 15 < max(angles) < 20.5


def test_a_crop_shifts_by_up_to_its_padding_and_scales_with_the_image() -> None:
    images = torch.zeros(200, 1, 56, 56)
    images[:, :, 28, 28] = 1
    moved = only(crop_padding=32.0, crop_p=1.0)(images)[:, 0].numpy()
    centres = np.array([ndimage.center_of_mass(image) for image in moved])
    shift = np.abs(centres - 28)
    assert shift.max() <= 8.01  # 32 of 224 is 8 of 56
    assert (shift.max(axis=0) > 7).all()
    assert only(crop_padding=32.0, crop_p=1.0)(torch.ones(50, 1, 56, 56)).min() == 0


def test_the_erased_share_is_as_asked_for() -> None:
    erased = only(erasing=(0.02, 0.25), erasing_p=1.0)(torch.ones(400, 3, 64, 64))
    gone = erased != 1
    assert torch.equal(gone[:, 0], gone[:, 1])
    share = gone[:, 0].float().mean(dim=(1, 2))
    assert 0.015 < share.min() < 0.05
    assert 0.2 < share.max() < 0.26
    for mask in gone[:20, 0].numpy():
        rows, columns = mask.any(1).sum(), mask.any(0).sum()
        assert rows * columns == mask.sum()  # one rectangle
    assert len(erased[gone].unique()) == 1
    half = only(erasing_p=0.5)(torch.ones(400, 1, 16, 16))
    assert 150 < (half != 1).flatten(1).any(dim=1).sum() < 250


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"flip": 1.5}, "augmentation.flip must be from 0 to 1, but is 1.5"),
        ({"erasing_p": -0.1}, "augmentation.erasing_p must be from 0 to 1, but is -0.1"),
        ({"rotation": 270.0}, "augmentation.rotation must be from 0 to 180 degrees, but is 270"),
        ({"crop_padding": -1.0}, "augmentation.crop_padding must be from 0 to 224 pixels"),
        ({"erasing": (0.3, 0.2)}, r"two shares .* but is \[0.3, 0.2\]"),
    ],
)
def test_arguments_are_checked(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Augmentation(**arguments)
