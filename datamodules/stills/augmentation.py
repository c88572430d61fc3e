"""Random changes of training images, on the device where the batch is."""

from __future__ import annotations

import kornia.augmentation as K  # noqa: N812  # the name in kornia's own examples
from torch import Tensor, nn

from datamodules.errors import UserError

_PAPER_SIDE = 224  # pixels in which `crop_padding` is told
_MEAN_GREY = 0.449  # mean of ImageNet's three channel means: nearly 0 after normalisation


class Augmentation(nn.Module):
    """Flips, turns, shifts and erases images, each by its own draw.

    Random numbers come from torch's global generator of the CPU, so that a run's seed fixes them
    on every device.

    Args:
        flip: Probability of a horizontal flip.
        rotation: Largest rotation to either side, in degrees.
        rotation_p: Probability of a rotation.
        crop_padding: Largest shift along each axis, in pixels of a 224x224 image: an image is
            padded so far with black and cut to its size again.
        crop_p: Probability of a shift.
        erasing: Smallest and largest share of the image that is erased.
        erasing_p: Probability that a rectangle is erased.

    Raises:
        UserError: If an argument is out of its range.

    Reference:
        PCNN, IV.B; rotation, crop and shares as in its authors' code.

    Deviation:
        The code turns and shifts the same fifth of the images; here both are drawn apart. Shifts
        are by fractions of a pixel. The code erases after normalisation, with 0; images here are
        in [0, 1], where grey stands for that.
    """

    def __init__(
        self,
        flip: float = 0.5,
        rotation: float = 20.0,
        rotation_p: float = 0.2,
        crop_padding: float = 32.0,
        crop_p: float = 0.2,
        erasing: tuple[float, float] = (0.02, 0.25),
        erasing_p: float = 0.5,
    ) -> None:
        super().__init__()
        shares = {"flip": flip, "rotation_p": rotation_p, "crop_p": crop_p, "erasing_p": erasing_p}
        for argument, share in shares.items():
            if not 0 <= share <= 1:
                raise UserError(f"augmentation.{argument} must be from 0 to 1, but is {share:g}.")
        if not 0 <= rotation <= 180:
            raise UserError(
                f"augmentation.rotation must be from 0 to 180 degrees, but is {rotation:g}."
            )
        if not 0 <= crop_padding <= _PAPER_SIDE:
            raise UserError(
                f"augmentation.crop_padding must be from 0 to {_PAPER_SIDE} pixels, "
                f"but is {crop_padding:g}."
            )
        if not 0 < erasing[0] <= erasing[1] < 1:
            raise UserError(
                "augmentation.erasing must be two shares between 0 and 1 in rising order, "
                f"but is {list(erasing)}."
            )
        shift = crop_padding / _PAPER_SIDE
        self._changes = nn.Sequential(
            K.RandomHorizontalFlip(p=flip),
            K.RandomRotation(rotation, p=rotation_p),
            K.RandomAffine(0.0, translate=(shift, shift), p=crop_p),
            K.RandomErasing(scale=tuple(erasing), ratio=(0.3, 3.3), value=_MEAN_GREY, p=erasing_p),
        )

    def forward(self, image: Tensor) -> Tensor:
        """Change each image of a batch, float32 [B, C, H, W] in [0, 1]."""
        changed: Tensor = self._changes(image)
        return changed
