"""Histograms of oriented gradients: features that nobody has to learn."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import Tensor

_CELL = 8
_BLOCK = 2 * _CELL
_ORIENTATIONS = 9


def oriented_gradients(image: Tensor) -> Tensor:
    """Describe faces by the directions of their edges, cell by cell.

    Cells of 8x8 pixels have 9 unsigned orientations each; blocks of 2x2 cells, a cell apart, are
    normalised on their own. Of several channels each pixel takes that of the strongest gradient.

    Args:
        image: Images [B, C, H, W] in [0, 1], of 1 or 3 channels; sides are multiples of 8 pixels
            and at least 16.

    Returns:
        float32 [B, F] on the device of the images; F is 1,764 for 64x64 pixels.

    Reference:
        Dalal and Triggs, Histograms of oriented gradients for human detection (CVPR 2005).
    """
    height, width = image.shape[2:]
    descriptor = cv2.HOGDescriptor(
        (width, height), (_BLOCK, _BLOCK), (_CELL, _CELL), (_CELL, _CELL), _ORIENTATIONS
    )
    pixels = image.mul(255).round().byte().permute(0, 2, 3, 1).contiguous().cpu().numpy()
    rows = np.stack([np.asarray(descriptor.compute(face)).ravel() for face in pixels])
    return torch.from_numpy(rows).to(image.device)
