"""How a pair of frames becomes arrays: the face is cut out, and its motion estimated."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from datamodules.detectors import FaceDetector, HaarCascade
from datamodules.errors import BadSample
from datamodules.faces import LOOSE_MARGIN, Box, crop, face_of_landmarks, loose_box
from datamodules.images import grey, resize
from datamodules.motion.flow import estimate_flow, resize_flow

Frame = NDArray[np.uint8]
Landmarks = NDArray[np.float64]

CASCADE = HaarCascade()


@dataclass(frozen=True)
class Extraction:
    """How a pair becomes arrays.

    Args:
        size: Side of the grid.
        flow: Name of the flow algorithm.
        crop: loose: cut out the face found in the first frame, with room around it, by one box
            for the whole recording, so that head motion is seen; none: take whole frames, for
            data that is cropped already.
        colour: Whether faces are kept in RGB rather than grey.
    """

    size: int
    flow: str
    crop: str
    colour: bool

    def image(self, face: Frame) -> Frame:
        """Resize a face to [C, size, size]."""
        return np.ascontiguousarray(np.atleast_3d(resize(face, self.size)).transpose(2, 0, 1))

    def estimate(self, first: Frame, second: Frame, name: str) -> NDArray[np.float32]:
        """Estimate the flow at full resolution and resize it: [2, size, size] in grid pixels."""
        flow = estimate_flow(grey(first), grey(second), self.flow, name=name)
        return np.ascontiguousarray(resize_flow(flow, self.size).transpose(2, 0, 1))

    def face(
        self,
        neutral: Frame,
        name: str,
        landmarks: Landmarks | None = None,
        detector: FaceDetector = CASCADE,
    ) -> Box:
        """Find the face in the first frame of a recording; a frame that is not cut is a face.

        Landmarks stand in where no face is detected; not before, so that faces with and without
        landmarks are cut out alike.

        Raises:
            BadSample: If no face is found.
        """
        if self.crop == "none":
            return Box(0, 0, neutral.shape[1], neutral.shape[0])
        face = detector.largest(neutral)
        if face is None and landmarks is not None:
            return face_of_landmarks(landmarks)
        if face is None:
            raise BadSample(name, "no face was found in this first frame")
        return face

    def box(
        self,
        neutral: Frame,
        name: str,
        landmarks: Landmarks | None = None,
        detector: FaceDetector = CASCADE,
    ) -> Box:
        """Find what to cut out of each frame of a recording, by its first frame.

        Raises:
            BadSample: If no face is found.
        """
        face = self.face(neutral, name, landmarks, detector)
        return face if self.crop == "none" else loose_box(face, LOOSE_MARGIN, neutral.shape)

    def cut(self, frame: Frame, neutral: Frame, box: Box, name: str) -> Frame:
        """Cut the face out of a later frame of a recording.

        Raises:
            BadSample: If the frame is of another size than the first.
        """
        if frame.shape != neutral.shape:
            raise BadSample(
                name,
                f"is {frame.shape[1]}x{frame.shape[0]}, but the first frame of its recording is "
                f"{neutral.shape[1]}x{neutral.shape[0]}",
            )
        return crop(frame, box)
