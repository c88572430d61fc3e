"""Classical registration of two frames, the baseline that learned frontalization must beat."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

_SMALLEST = 32
"""Shorter side in pixels of the coarsest image that is still aligned."""


def register(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Warp the second frame onto the first, both [H, W] grey, by the affine map that fits best.

    The map maximises the enhanced correlation coefficient, from coarse to fine, because started
    from identity at full size it does not find a head that moved by more than a few pixels. Where
    the search does not converge the result is the very array `second`, so that `is second` tells.

    Reference:
        Evangelidis and Psarakis, Parametric image alignment using enhanced correlation
        coefficient maximization, TPAMI 2008.
    """
    halvings = max(0, int(np.log2(min(first.shape) / _SMALLEST)))
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 50, 1e-4)
    affine = np.eye(2, 3, dtype=np.float32)
    for level in range(halvings, -1, -1):
        scale = 0.5**level
        template, moved = (
            cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            for image in (first, second)
        )
        affine[:, 2] *= scale
        try:
            # OpenCV takes None for the mask, though its stubs do not.
            _, found = cv2.findTransformECC(  # type: ignore[call-overload]
                template, moved, affine, cv2.MOTION_AFFINE, criteria, None, 5
            )
        except cv2.error:  # OpenCV's way to say that it does not converge
            return second
        affine = np.asarray(found, np.float32)
        affine[:, 2] /= scale
    height, width = first.shape
    return np.asarray(
        cv2.warpAffine(
            second,
            affine,
            (width, height),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        ),
        np.uint8,
    )
