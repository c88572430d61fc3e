"""Classical registrations of two frames, the baselines that learned frontalization must beat."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

_SMALLEST = 32
"""Shorter side in pixels of the coarsest image that is still aligned."""
_RATIO, _REACH = 0.75, 3.0
"""Of SIFT matches: how much nearer than the second best, and pixels that one may be off the map."""


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
    return _moved(second, affine)


def register_by_features(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Warp the second frame onto the first, both [H, W] grey, by what most SIFT matches agree on.

    The map is a similarity (turn, scale, shift) found by RANSAC, so that what the face itself moves
    does not count. Where too few keypoints match the result is the very array `second`.

    Reference:
        Lowe, Distinctive image features from scale-invariant keypoints, IJCV 2004, 7.1;
        Fischler and Bolles, Random sample consensus, CACM 1981.
    """
    sift = cv2.SIFT_create()  # type: ignore[attr-defined]
    (here, described), (there, others) = (sift.detectAndCompute(x, None) for x in (first, second))
    if len(here) < 2 or len(there) < 2:
        return second
    pairs = cv2.BFMatcher().knnMatch(described, others, k=2)
    matches = [best for best, other in pairs if best.distance < _RATIO * other.distance]
    if len(matches) < 2:
        return second
    start = np.array([here[match.queryIdx].pt for match in matches])
    end = np.array([there[match.trainIdx].pt for match in matches])
    affine, _ = cv2.estimateAffinePartial2D(start, end, ransacReprojThreshold=_REACH)
    return second if affine is None else _moved(second, affine)


def _moved(image: NDArray[np.uint8], affine: NDArray[Any]) -> NDArray[np.uint8]:
    """Take each pixel from where the map sends it, its border repeated where there is none."""
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    size = (image.shape[1], image.shape[0])
    return np.asarray(
        cv2.warpAffine(image, affine, size, flags=flags, borderMode=cv2.BORDER_REPLICATE), np.uint8
    )
