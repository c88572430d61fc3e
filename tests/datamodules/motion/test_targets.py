from __future__ import annotations

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from datamodules.detectors import HaarCascade
from datamodules.errors import BadSample, DatasetError
from datamodules.faces import LOOSE_MARGIN, crop, detect_face, loose_box
from datamodules.images import resize
from datamodules.motion.extraction import Extraction
from datamodules.motion.targets import AVERAGE_NAME, read_target, read_targets
from datamodules.sets.snap2dfe import SNaP2DFeDataModule
from tests.datamodules.test_faces import scene
from tests.datamodules.trees import write_frames

LOOSE = Extraction(32, "farneback", "loose", colour=True)


def test_a_face_is_cut_out_of_a_picture_of_any_size(tmp_path: Path) -> None:
    picture = np.dstack([scene((100, 120, 60))] * 3)
    cv2.imwrite(str(tmp_path / "a.png"), picture)
    (target,) = read_targets(tmp_path / "a.png", LOOSE, HaarCascade()).values()
    found = detect_face(picture[..., 0])
    assert found is not None
    assert target.box == loose_box(found, LOOSE_MARGIN, picture.shape)
    np.testing.assert_array_equal(target.picture, picture)
    wanted = resize(crop(picture, target.box), 32)
    np.testing.assert_allclose(255 * target.face, wanted.transpose(2, 0, 1), atol=1e-4)


def test_a_face_to_train_on_is_found_or_left_out(tmp_path: Path) -> None:
    picture = np.dstack([scene((100, 120, 60))] * 3)
    cv2.imwrite(str(tmp_path / "a.png"), picture)
    (target,) = read_targets(tmp_path / "a.png", LOOSE, HaarCascade()).values()
    found = read_target(tmp_path / "a.png", LOOSE, HaarCascade())
    assert found.box == target.box
    np.testing.assert_array_equal(found.face, target.face)
    cv2.imwrite(str(tmp_path / "b.png"), picture[:20])
    with pytest.raises(BadSample, match="no face was found"):
        read_target(tmp_path / "b.png", LOOSE, HaarCascade())


def test_where_no_face_is_found_the_middle_is_taken_and_that_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    drawing = np.zeros((40, 80, 3), np.uint8)
    drawing[:, 20:60] = (10, 20, 30)
    cv2.imwrite(str(tmp_path / "drawing.png"), drawing)
    with caplog.at_level(logging.WARNING):
        (target,) = read_targets(tmp_path / "drawing.png", LOOSE, HaarCascade()).values()
    assert target.box == (20, 0, 40, 40)
    np.testing.assert_allclose(255 * target.face[:, 5, 5], [30, 20, 10], atol=1e-4)
    assert len(np.unique(target.face)) == 3
    assert "drawing.png shows no face that haarcascade" in caplog.text


def test_the_pictures_of_a_folder_come_in_their_order(tmp_path: Path) -> None:
    for name in ("10.png", "9.png"):
        cv2.imwrite(str(tmp_path / name), np.zeros((20, 20, 3), np.uint8))
    (tmp_path / "notes.txt").touch()
    cut = Extraction(16, "farneback", "none", colour=True)
    assert list(read_targets(tmp_path, cut, HaarCascade())) == ["9.png", "10.png"]
    (tmp_path / "none").mkdir()
    with pytest.raises(DatasetError, match="none holds 0 pictures, but motion is put onto 1 to 12"):
        read_targets(tmp_path / "none", cut, HaarCascade())
    (tmp_path / "bad.png").write_text("no picture")
    with pytest.raises(DatasetError, match=r"bad.png"):
        read_targets(tmp_path / "bad.png", cut, HaarCascade())


def predicting(folder: Path, neutral: str, *, animates: bool) -> SNaP2DFeDataModule:
    write_frames(folder / "clip", person=1, frames=3)
    arguments: dict[str, Any] = {"size": 16, "crop": "none", "cache_dir": str(folder / "cache")}
    data = SNaP2DFeDataModule(input=str(folder / "clip"), neutral=neutral, **arguments)
    method = SimpleNamespace(animates=animates)
    data.trainer = SimpleNamespace(  # type: ignore[assignment]
        lightning_module=method, global_rank=0, world_size=1, state=SimpleNamespace(fn=None)
    )
    data.setup("predict")
    return data


def test_a_picture_is_animated_by_methods_that_can_and_else_begins_the_flows(
    tmp_path: Path,
) -> None:
    face = tmp_path / "face.png"
    cv2.imwrite(str(face), np.full((20, 30, 3), 51, np.uint8))
    data = predicting(tmp_path, str(face), animates=True)
    assert data.neutral_face() is None  # flows start from the recording's own
    (target,) = data.targets.values()
    assert target is not None
    assert target.face.shape == (3, 16, 16)
    np.testing.assert_allclose(target.face, 0.2)
    data = predicting(tmp_path, str(face), animates=False)
    assert (data.neutral_face(), data.targets) == (face, {})


def test_average_first_and_numbers(tmp_path: Path) -> None:
    data = predicting(tmp_path, "average", animates=True)
    assert (data.neutral_face(), data.targets) == (None, {AVERAGE_NAME: None})
    data = predicting(tmp_path, "first", animates=True)
    assert (data.neutral_face(), data.targets) == (None, {})
    data = predicting(tmp_path, "1", animates=True)
    assert (data.neutral_face(), data.targets) == (1, {})
    with pytest.raises(ValueError, match=r"There is no neutral face nobody.png: give first, the"):
        predicting(tmp_path, "nobody.png", animates=True)
    with pytest.raises(ValueError, match="There is no neutral face average"):
        predicting(tmp_path, "average", animates=False)
