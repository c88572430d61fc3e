"""Things with texture before a face: some sit on it, some pass; and what inpainting makes of it."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from datamodules.faces import Box
from datamodules.motion.extraction import Frame, Landmarks
from datamodules.synthetic.occluders import Occluder, paint_occluder

THINGS: tuple[Occluder, ...] = ("sunglasses", "mask", "scarf", "hand", "bar")
"""What a face may be hidden by, beside black boxes; the last two move."""

# How far things move from the first frame to the last, in halves of the width of the face.
_PATHS = {"hand": 0.5, "bar": 1.6}
_INPAINTING_RADIUS = 3  # pixels of the cut-out face


def place_thing(
    frame: Frame, thing: Occluder, landmarks: Landmarks, *, progress: float, seed: int
) -> Frame:
    """Paint a thing on a copy of a frame.

    Args:
        frame: uint8, grey [H, W] or RGB [H, W, 3].
        thing: One of `THINGS`.
        landmarks: [68, 2] of the first frame, pixels of this one; what sits on a face stays there.
        progress: From 0 for the first frame of the recording to 1 for its last one: how far a
            hand has drifted or a bar has crossed.
        seed: Of the recording: look, place and direction of the thing.

    Reference:
        SSIM-VAE, conclusion: occlusions that move are its future work.
    """
    unit = float(np.hypot(*(landmarks[16] - landmarks[0]))) / 2
    rng = np.random.default_rng([seed, 1])
    angle = rng.uniform(0, 2 * np.pi) if thing == "hand" else np.pi * rng.integers(2)
    path = _PATHS.get(thing, 0.0) * unit * np.array((np.cos(angle), np.sin(angle)))
    skin = np.resize(frame[frame.shape[0] // 2, frame.shape[1] // 2] / 255.0, 3)
    painted = np.array(frame)
    paint_occluder(
        painted,
        landmarks + (progress - 0.5) * path,
        unit,
        thing,
        tuple(skin.tolist()),
        np.random.default_rng([seed, 0]),
    )
    return painted


def inpaint(occluded: Frame, frame: Frame) -> Frame:
    """Fill what is hidden from its border, by Telea's fast marching.

    Args:
        occluded: A frame with something before the face.
        frame: The same without; where the two differ is filled.

    Reference:
        Telea, An Image Inpainting Technique Based on the Fast Marching Method; OpenCV.
    """
    hidden = (occluded != frame).reshape(*frame.shape[:2], -1).any(axis=2).astype(np.uint8)
    hidden = cv2.dilate(hidden, np.ones((3, 3), np.uint8))  # the soft edge too
    filled = cv2.inpaint(occluded, hidden, _INPAINTING_RADIUS, cv2.INPAINT_TELEA)
    return np.asarray(filled, np.uint8)


def mean_landmarks(face: Box) -> Landmarks:
    """Place the landmarks of a frontal face of usual proportions in the box of a detected one.

    Args:
        face: Box of `faces.detect_face`.

    Returns:
        [68, 2] in pixels, in the order of 300-W.
    """
    points: NDArray[np.float64] = np.zeros((68, 2))
    jaw = np.linspace(np.pi, 0, 17)
    points[:17] = np.stack([0.49 + 0.43 * np.cos(jaw), 0.42 + 0.61 * np.sin(jaw)], 1)
    points[17:22] = np.stack([np.linspace(0.15, 0.42, 5), [0.32, 0.28, 0.27, 0.28, 0.31]], 1)
    points[22:27] = np.stack([np.linspace(0.56, 0.83, 5), [0.31, 0.28, 0.27, 0.28, 0.32]], 1)
    points[27:31] = np.stack([np.full(4, 0.49), np.linspace(0.42, 0.62, 4)], 1)
    points[31:36] = np.stack([np.linspace(0.41, 0.57, 5), np.full(5, 0.665)], 1)
    lid = np.linspace(0, 2 * np.pi, 7)[:6]
    for first, middle in ((36, 0.30), (42, 0.68)):
        ring = np.stack([middle - 0.08 * np.cos(lid), 0.42 - 0.03 * np.sin(lid)], 1)
        points[first : first + 6] = ring
    lip = np.linspace(0, 2 * np.pi, 21)[:20]
    points[48:] = np.stack([0.49 + 0.16 * np.cos(lip), 0.79 + 0.05 * np.sin(lip)], 1)
    return points * (face.width, face.height) + (face.left, face.top)
