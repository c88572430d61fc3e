from __future__ import annotations

import numpy as np
import torch
from skimage.feature import hog

from lightning_modules.svm.hog import oriented_gradients


def test_an_edge_votes_for_its_own_direction_alone():
    image = torch.zeros(1, 1, 16, 16)
    image[..., 4:12, :] = 1.0  # gradients point up and down: 90 degrees, in the middle of 9 bins
    blocks = oriented_gradients(image)
    assert blocks.shape == (1, 36)
    # Two of the bins border on 90 degrees, which is the middle of the fifth: it takes all.
    cells = blocks.view(4, 9)
    torch.testing.assert_close(cells.sum(dim=1), cells[:, 4])
    # The four cells are alike by symmetry, and their block has unit length.
    torch.testing.assert_close(cells[:, 4], torch.full((4,), 0.5), atol=0.01, rtol=0)


def test_it_is_close_to_that_of_scikit_image():
    torch.manual_seed(0)
    coarse = torch.rand(2, 1, 8, 8)
    image = torch.nn.functional.interpolate(coarse, 64, mode="bicubic").clamp(0, 1)
    own = oriented_gradients(image).numpy()
    assert own.shape == (2, 1764)
    for face, features in zip(image[:, 0].numpy(), own, strict=True):
        other = hog(face, orientations=9, pixels_per_cell=(8, 8), cells_per_block=(2, 2))
        # OpenCV shares a vote among bins and cells around, weighs blocks by a Gaussian and walks
        # them column by column.
        cells = features.reshape(7, 7, 2, 2, 9).transpose(1, 0, 3, 2, 4)
        assert np.corrcoef(cells.ravel(), other)[0, 1] > 0.7
        assert np.corrcoef(features, other)[0, 1] < 0.4


def test_of_grey_colours_it_is_that_of_the_grey_image():
    grey = torch.rand(2, 1, 32, 32)
    torch.testing.assert_close(
        oriented_gradients(grey.expand(-1, 3, -1, -1)), oriented_gradients(grey)
    )
