import numpy as np
import pytest

from datamodules.synthetic.scene import Frame


@pytest.mark.parametrize("size", [97, 128])
def test_grid_and_pixels_are_inverse(size: int) -> None:
    frame = Frame.square(size)
    x, y = np.meshgrid(np.arange(size), np.arange(size))
    np.testing.assert_allclose(frame.to_pixels(frame.grid()), np.stack([x, y], -1), atol=1e-3)


@pytest.mark.parametrize("size", [96, 97, 128, 240])
def test_cells_fill_the_picture_of_any_size(size: int) -> None:
    frame = Frame.square(size)
    x = frame.to_pixels(frame.grid(5.0))[0, :, 0]
    side = x[1] - x[0]
    assert x[0] - side / 2 == pytest.approx(-0.5, abs=1e-3)
    assert x[-1] + side / 2 == pytest.approx(size - 0.5, abs=1e-3)
