from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from datamodules.detectors import YUNET, HaarCascade, YuNet, open_detector
from datamodules.errors import UserError
from datamodules.faces import detect_face, detect_faces
from tests.datamodules.test_faces import scene

TWO = scene((80, 120, 40), (230, 120, 45))


class StandIn:
    """Answers as cv2.FaceDetectorYN does: of each face box, five landmarks and a score."""

    size = (0, 0)

    def setInputSize(self, size: tuple[int, int]) -> None:  # noqa: N802
        self.size = size

    def detect(self, picture: NDArray[np.uint8]) -> tuple[int, NDArray[np.float32] | None]:
        assert picture.shape == (self.size[1], self.size[0], 3)
        if picture.max() < 50:
            return 0, None
        faces = [
            # Right eye, left eye, nose, corners of the mouth: eyes 32 apart, mouth 32 below.
            [30, 20, 60, 80, 44, 50, 76, 50, 60, 65, 48, 82, 72, 82, 0.9],
            [100, 20, 30, 40, 107, 35, 123, 35, 115, 42, 109, 51, 121, 51, 0.8],
        ]
        return 1, np.array(faces[::-1], np.float32)


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = type("FaceDetectorYN", (), {"create": staticmethod(lambda *given: StandIn())})
    monkeypatch.setattr(cv2, "FaceDetectorYN", made)
    path = tmp_path / "yunet.onnx"
    path.touch()
    return path


def test_the_cascade_finds_what_it_finds() -> None:
    cascade = HaarCascade()
    assert cascade.faces(TWO) == detect_faces(TWO)
    assert cascade.faces(np.dstack([TWO] * 3)) == detect_faces(TWO)
    assert cascade.largest(TWO) == detect_face(TWO)
    assert "haarcascade" in cascade.name


def test_yunet_gives_boxes_as_the_cascade_does(model: Path) -> None:
    found = open_detector(str(model))
    assert found.name.startswith("YuNet of OpenCV")
    assert "yunet.onnx" in found.name
    large, small = found.faces(np.full((120, 160), 90, np.uint8))
    assert (large.width, large.height) == (80, 80)  # 1.25 times 32 + 32
    assert (large.left + 40, large.top + 40) == (60, 57)  # below the middle of the eyes
    assert (small.width, small.left > large.left) == (40, True)
    assert found.largest(np.full((120, 160, 3), 90, np.uint8)) == large
    assert found.faces(np.zeros((120, 160), np.uint8)) == []


def test_of_a_large_picture_boxes_are_in_its_own_pixels(model: Path) -> None:
    large, _ = YuNet(model).faces(np.full((1440, 1920, 3), 90, np.uint8))
    assert large.width == 160


def test_what_no_argument_names_the_environment_does(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(open_detector(None), HaarCascade)
    monkeypatch.setenv(YUNET, str(model))
    assert isinstance(open_detector(None), YuNet)
    assert isinstance(open_detector("haar"), HaarCascade)


def test_what_is_no_detector_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no face detector .*no\.onnx: give haar or YuNet's ONNX"):
        open_detector(str(tmp_path / "no.onnx"))
    (tmp_path / "bad.onnx").write_text("no network")
    with pytest.raises(UserError, match="is no YuNet that OpenCV"):
        open_detector(str(tmp_path / "bad.onnx"))
