"""Optical flow: estimate it, resize it with its vectors, and measure their lengths."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from datamodules.errors import BadSample, UserError
from datamodules.images import resize

# OpenCV's estimators keep their buffers between calls, so each thread has its own.
_local = threading.local()

_CREATE: dict[str, Callable[[], Any]] = {
    # Magnitudes reach tens of pixels where the head moves, so of the presets it is the medium one.
    "dis": lambda: cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM),
    "deepflow": lambda: cv2.optflow.createOptFlow_DeepFlow(),
    "tvl1": lambda: cv2.optflow.createOptFlow_DualTVL1(),
    "pca": lambda: cv2.optflow.createOptFlow_PCAFlow(),
}

ALGORITHMS = ("farneback", *_CREATE)
"""The estimators by name; all of opencv-contrib."""


def estimate_flow(
    first: NDArray[np.uint8],
    second: NDArray[np.uint8],
    algorithm: str = "farneback",
    *,
    name: str = "flow",
) -> NDArray[np.float32]:
    """Estimate the motion from one frame to the next.

    Farneback runs with OpenCV's usual values (window 15, 3 iterations, polynomials over 5 pixels
    with sigma 1.1), but 5 pyramid levels instead of 3: on pictures above 250 pixels the further
    levels cut the error where a head moves by tens of pixels, and cost nothing; OpenCV leaves
    out those that are too small. A larger window follows heads better still, but smooths the
    corners of the mouth and the brows together.

    Args:
        first: [H, W] grey image.
        second: [H, W] grey image of the same size.
        algorithm: One of `ALGORITHMS`.
        name: The files, for the error message.

    Returns:
        [H, W, 2] in pixels, right and down: the point (x, y) of `first` is at (x, y) + flow in
        `second`.

    Raises:
        UserError: If there is no such algorithm.
        BadSample: If the sizes differ, or there is no flow, or one that is not finite.

    Reference:
        Farneback, Two-frame motion estimation based on polynomial expansion, SCIA 2003.
        eMotion-GAN, section IV.C, which gives no parameters.
    """
    if algorithm not in ALGORITHMS:
        raise UserError(f"flow must be one of {', '.join(ALGORITHMS)}, but is {algorithm!r}.")
    if first.shape != second.shape:
        raise BadSample(name, f"the frames differ in size: {first.shape} and {second.shape}")
    try:
        # DIS refuses views, which is what crops are.
        flow = _calculate(np.ascontiguousarray(first), np.ascontiguousarray(second), algorithm)
    except cv2.error as error:  # e.g. PCAFlow without a single match
        raise BadSample(name, f"the {algorithm} flow failed ({error.err.strip()})") from error
    if not np.isfinite(flow).all():
        raise BadSample(name, f"the {algorithm} flow has values that are not finite")
    return np.asarray(flow, np.float32)


def _calculate(first: NDArray[np.uint8], second: NDArray[np.uint8], algorithm: str) -> Any:
    if algorithm == "farneback":
        return cv2.calcOpticalFlowFarneback(
            first,
            second,
            None,  # type: ignore[call-overload]  # no flow to start from
            pyr_scale=0.5,
            levels=5,
            winsize=15,
            iterations=3,
            poly_n=5,
            poly_sigma=1.1,
            flags=0,
        )
    if not hasattr(_local, algorithm):
        setattr(_local, algorithm, _CREATE[algorithm]())
    return getattr(_local, algorithm).calc(first, second, None)


def resize_flow(flow: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """Resize a flow [H, W, 2] in pixels to a square, and its vectors to pixels of the new grid."""
    height, width = flow.shape[:2]
    return np.asarray(resize(flow, size) * (size / width, size / height), np.float32)


def magnitude_statistics(
    flows: Iterable[NDArray[np.floating[Any]]], clip: float = 10.0
) -> dict[str, Any]:
    """Measure how long the vectors of all flows are, so that a clip can be chosen.

    The flows are read one after the other; their number does not matter for the memory.

    Args:
        flows: Flows [2, H, W] in pixels, as a cache holds them.
        clip: Magnitude in pixels at which the method cuts.

    Returns:
        In pixels ``q1``, ``median`` and ``q3``, to a 500th of the clip, and ``max``;
        ``share_clipped``, of the vectors longer than the clip, in [0, 1]; ``histogram``, vectors
        in each bin between ``edges``, of which the last is at twice the clip.

    Raises:
        ValueError: If there is no flow.

    Reference:
        eMotion-GAN, section III.A: the clip is read off the distribution, e.g. its Q3.
    """
    # Fine bins up to far beyond the clip; the last takes all that is longer still.
    fine = np.append(np.linspace(0.0, 20 * clip, 10_000 + 1), np.inf)
    counts = np.zeros(len(fine) - 1, np.int64)
    longest, clipped = 0.0, 0
    for flow in flows:
        magnitude = np.hypot(*np.asarray(flow, np.float32))
        counts += np.histogram(magnitude, fine)[0]
        longest = max(longest, float(magnitude.max()))
        clipped += int((magnitude > clip).sum())
    total = int(counts.sum())
    if total == 0:
        raise ValueError("Magnitude statistics need at least one flow, but there is none.")
    reached = np.searchsorted(np.cumsum(counts), np.array([0.25, 0.5, 0.75]) * total)
    q1, median, q3 = np.minimum(fine[reached + 1], longest).tolist()
    coarse = 20  # fine bins in one of the histogram's: 50 bins up to twice the clip
    return {
        "q1": q1,
        "median": median,
        "q3": q3,
        "max": longest,
        "share_clipped": clipped / total,
        "histogram": counts[:1000].reshape(-1, coarse).sum(axis=1).tolist(),
        "edges": fine[: 1000 + 1 : coarse].tolist(),
    }
