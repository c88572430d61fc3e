"""What finds the faces of an input: OpenCV's YuNet where its file is at hand, else the cascade."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from datamodules.errors import UserError
from datamodules.faces import DETECTOR, Box, detect_face, detect_faces
from datamodules.images import grey, rgb

YUNET = "FER_LIGHTNING_YUNET"
"""Environment variable: path of YuNet's ONNX file, for inputs that name no detector."""

_DETECTION_SIDE = 960  # longer side at which is searched, as by the cascade where all faces count
# A cascade's box in what five landmarks show, on 826 photographs of CK+ with landmarks: its side
# is 1.27 times the distance of the eyes plus that from eyes to mouth (standard deviation 7 %; of
# 192 drawn faces 1.14), its middle 0.24 (drawn: 0.17) of the latter below the eyes.
_SIDE, _BELOW_EYES = 1.25, 0.22


class FaceDetector(Protocol):
    """Finds faces in pictures uint8 [H, W] grey or [H, W, 3] RGB.

    Attributes:
        name: What it is, for the rows of a prediction.
    """

    name: str

    def faces(self, picture: NDArray[np.uint8]) -> list[Box]:
        """Find every face, from left to right."""

    def largest(self, picture: NDArray[np.uint8]) -> Box | None:
        """Find the largest face."""


class HaarCascade:
    """The cascade by which training faces are cut out; see `faces.detect_faces`."""

    name = DETECTOR

    def faces(self, picture: NDArray[np.uint8]) -> list[Box]:
        """Find every face, from left to right."""
        return detect_faces(grey(picture))

    def largest(self, picture: NDArray[np.uint8]) -> Box | None:
        """Find the largest face."""
        return detect_face(grey(picture))


class YuNet:
    """OpenCV's YuNet, which finds turned, small and half hidden faces too.

    Args:
        path: Its ONNX file, such as face_detection_yunet_2023mar.onnx of OpenCV Zoo.

    Raises:
        UserError: If the file is not there, or is no YuNet.

    Reference:
        Wu et al., YuNet: A Tiny Millisecond-level Face Detector (Machine Intelligence Research
        2023).

    Deviation:
        Its box spans forehead and chin. Methods learnt from the boxes of the cascade, so that here
        a box is the square that the cascade would give, estimated from YuNet's five landmarks.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise UserError(f"There is no face detector {path}: give haar or YuNet's ONNX file.")
        try:
            self._network = cv2.FaceDetectorYN.create(str(path), "", (320, 320))
        except cv2.error as error:
            raise UserError(
                f"{path} is no YuNet that OpenCV {cv2.__version__} reads: give haar or the file "
                "face_detection_yunet_2023mar.onnx of OpenCV Zoo."
            ) from error
        self.name = f"YuNet of OpenCV {cv2.__version__} ({path.name})"

    def faces(self, picture: NDArray[np.uint8]) -> list[Box]:
        """Find every face, from left to right."""
        scale = min(1.0, _DETECTION_SIDE / max(picture.shape[:2]))
        small = cv2.resize(rgb(picture), None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        self._network.setInputSize((small.shape[1], small.shape[0]))
        found = self._network.detect(cv2.cvtColor(small, cv2.COLOR_RGB2BGR))[1]
        if found is None:
            return []
        landmarks = np.asarray(found, np.float64)[:, 4:14].reshape(-1, 5, 2) / scale
        return sorted(_cascade_box(five) for five in landmarks)

    def largest(self, picture: NDArray[np.uint8]) -> Box | None:
        """Find the largest face."""
        return max(self.faces(picture), key=lambda box: box.width, default=None)


def _cascade_box(landmarks: NDArray[np.float64]) -> Box:
    """Estimate the cascade's box from eyes, tip of the nose and corners of the mouth [5, 2]."""
    eyes, mouth = landmarks[:2].mean(axis=0), landmarks[3:].mean(axis=0)
    between = float(np.linalg.norm(landmarks[0] - landmarks[1]))
    side = _SIDE * (between + float(np.linalg.norm(mouth - eyes)))
    left, top = eyes + _BELOW_EYES * (mouth - eyes) - side / 2
    return Box(round(float(left)), round(float(top)), round(side), round(side))


def open_detector(given: str | None) -> FaceDetector:
    """Make the detector that a person names.

    Args:
        given: haar, or the path of YuNet's ONNX file; None takes the file that the environment
            variable `YUNET` names, and the cascade where it names none.

    Raises:
        UserError: If there is no such detector.
    """
    given = given or os.environ.get(YUNET) or "haar"
    return HaarCascade() if given == "haar" else YuNet(Path(given).expanduser())
