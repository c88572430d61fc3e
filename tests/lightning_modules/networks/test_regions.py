from __future__ import annotations

import pytest
import torch

from lightning_modules.networks.regions import CROPPINGS, crop, region_names, stitch


def test_five_regions_of_the_paper():
    rows = crop(torch.zeros(1, 3, 224, 224), "five")
    sizes = [[tuple(part.shape[2:]) for part in row] for row in rows]
    assert sizes == [[(112, 112)] * 2, [(33, 112)] * 2, [(79, 224)]]
    names = ("left_eye", "right_eye", "left_cheek", "right_cheek", "mouth")
    assert region_names("five") == names


@pytest.mark.parametrize("cropping", CROPPINGS)
@pytest.mark.parametrize("size", [48, 64, 112, 224])
@pytest.mark.parametrize("random", [True, False])
def test_regions_put_together_are_the_face(cropping, size, random):
    image = torch.rand(2, 3, size, size)
    rows = crop(image, cropping, random=random)
    assert sum(len(row) for row in rows) == len(region_names(cropping))
    assert torch.equal(stitch(rows, (size, size)), image)


def test_only_training_cuts_at_random():
    image = torch.rand(1, 3, 64, 64)
    heights = {crop(image, "two_random", random=True)[0][0].shape[2] for _ in range(60)}
    assert len(heights) > 5
    assert min(heights) >= 16
    assert max(heights) <= 48
    assert {crop(image, "two_random")[0][0].shape[2] for _ in range(9)} == {32}
    assert {crop(image, "four", random=True)[0][0].shape[2] for _ in range(9)} == {32}


def test_features_that_do_not_fit_are_resized_bilinearly():
    ramp = torch.arange(4.0).view(1, 1, 1, 4).expand(1, 1, 3, 4)
    stitched = stitch([[ramp[..., :2], ramp[..., 2:]], [ramp[:, :, :2, :3]]], (4, 3))
    torch.testing.assert_close(stitched[0, 0, 0], torch.tensor([0, 1.5, 3.0]))
    torch.testing.assert_close(stitched[0, 0, -1], torch.tensor([0, 1.0, 2.0]))
