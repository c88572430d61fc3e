"""Faces that the motion of a recording is put onto: photographs and drawings of any size."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datamodules.detectors import FaceDetector
from datamodules.errors import BadSample, DatasetError
from datamodules.faces import Box, crop
from datamodules.files import is_image, natural_key
from datamodules.images import read_image
from datamodules.motion.extraction import Extraction

_log = logging.getLogger(__name__)
_MOST = 12  # faces: each is animated with every frame of the input

AVERAGE = "average"
"""The word for the average face of the training people, which the method keeps."""
AVERAGE_NAME = "average face"


@dataclass(frozen=True)
class Target:
    """A picture with a neutral face.

    Attributes:
        picture: uint8 [H, W, 3] RGB.
        box: What of it the method sees.
        face: float32 [3, size, size] in [0, 1], that part of it.
    """

    picture: NDArray[np.uint8]
    box: Box
    face: NDArray[np.float32]


def read_targets(path: Path, extraction: Extraction, detector: FaceDetector) -> dict[str, Target]:
    """Read a picture, or those of a folder, each with a neutral face, in colour.

    The face is cut out as those of the training data were. Where none is found, as in many a
    drawing, the middle square of the picture is taken for it, and that is said.

    Args:
        path: A picture, or a folder with some.
        extraction: How faces are cut out.
        detector: What finds them.

    Returns:
        The targets by the names of the pictures.

    Raises:
        DatasetError: If there is no picture, too many, or one that cannot be read.
    """
    files = [path]
    if path.is_dir():
        found = (file for file in path.iterdir() if is_image(file))
        files = sorted(found, key=lambda file: natural_key(file.name))
    if not 0 < len(files) <= _MOST:
        raise DatasetError(
            f"data.neutral {path} holds {len(files)} pictures, but motion is put onto 1 to {_MOST} "
            "faces: give a picture, or a folder of fewer."
        )
    extraction = replace(extraction, colour=True)
    targets = {}
    for file in files:
        picture = read_image(file, colour=True)
        box = _box(picture, file, extraction, detector)
        targets[file.name] = _target(picture, box, extraction)
    return targets


def read_target(file: Path, extraction: Extraction, detector: FaceDetector) -> Target:
    """Read a picture with a neutral face, in colour.

    Raises:
        BadSample: If it cannot be read, or no face is found in it.
    """
    picture = read_image(file, colour=True)
    box = extraction.box(picture, str(file), detector=detector)
    return _target(picture, box, replace(extraction, colour=True))


def _target(picture: NDArray[np.uint8], box: Box, extraction: Extraction) -> Target:
    face = extraction.image(crop(picture, box)).astype(np.float32) / np.float32(255)
    return Target(picture, box, face)


def _box(
    picture: NDArray[np.uint8], file: Path, extraction: Extraction, detector: FaceDetector
) -> Box:
    height, width = picture.shape[:2]
    try:
        return extraction.box(picture, str(file), detector=detector)
    except BadSample:
        side = min(height, width)
        _log.warning(
            "%s shows no face that %s finds: its middle square is taken for one, with a third of "
            "a face around it.",
            file,
            detector.name,
        )
        return Box((width - side) // 2, (height - side) // 2, side, side)
