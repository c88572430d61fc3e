import re
from pathlib import Path

import cv2
import cv2.data
import numpy as np
import pytest

from datamodules.files import MARKER
from datamodules.labels import CKPLUS_CODES, Expression
from datamodules.synthetic import write_ckplus

KINDS = {"cohn-kanade-images", "Emotion", "FACS", "Landmarks"}
NUMBER = r"   -?\d\.\d{7}e[+-]\d{2}"


@pytest.fixture(scope="module")
def ck(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("ck") / "CK+"
    write_ckplus(root, subjects=1, frames=3, seed=2)
    return root


def test_layout_is_the_official_one(ck: Path) -> None:
    assert {p.name for p in ck.iterdir()} == KINDS | {MARKER}
    for kind, suffix, count in (
        ("cohn-kanade-images", r"\.png", 24),
        ("Landmarks", r"_landmarks\.txt", 24),
        ("FACS", r"_facs\.txt", 8),
        ("Emotion", r"_emotion\.txt", 7),
    ):
        found = sorted(p for p in (ck / kind).rglob("*") if p.is_file())
        assert len(found) == count
        pattern = re.compile(rf"(S\d{{3}})/(\d{{3}})/\1_\2_\d{{8}}{suffix}")
        assert all(pattern.fullmatch(str(p.relative_to(ck / kind))) for p in found)
    assert len(list((ck / "Emotion").glob("*/*"))) == 8, "an unlabelled sequence has a folder"


def test_labels_sit_at_the_peak(ck: Path) -> None:
    labels = []
    for path in (ck / "Emotion").rglob("*.txt"):
        assert path.name.endswith("_00000003_emotion.txt")
        assert re.fullmatch(NUMBER + r"\n", path.read_text())
        labels.append(CKPLUS_CODES[int(float(path.read_text()))])
    assert sorted(labels) == [e for e in Expression if e is not Expression.NEUTRAL]


def test_facs_are_units_with_levels(ck: Path) -> None:
    for path in (ck / "FACS").rglob("*.txt"):
        assert re.fullmatch(rf"({NUMBER}{NUMBER}\n)*", path.read_text())
        units = np.loadtxt(path, ndmin=2)
        assert len(units) >= 1
        assert (np.diff(units[:, 0]) > 0).all()
        assert set(units[:, 1]) <= {0, 1, 2, 3, 4, 5}


def test_facs_agree_with_the_emotion(ck: Path) -> None:
    marks = {Expression.HAPPINESS: 12, Expression.CONTEMPT: 12, Expression.DISGUST: 9}
    for path in (ck / "Emotion").rglob("*.txt"):
        unit = marks.get(CKPLUS_CODES[int(float(path.read_text()))])
        if unit is not None:
            facs = ck / "FACS" / path.parent.relative_to(ck / "Emotion")
            units = np.loadtxt(next(facs.iterdir()), ndmin=2)[:, 0]
            assert {unit, 10, 14, 6} & set(units.astype(int))


def test_images_hold_one_face_at_their_landmarks(ck: Path) -> None:
    cascade = cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_alt2.xml")
    for path in sorted((ck / "cohn-kanade-images").rglob("*_00000001.png")):
        image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        assert image.shape == (490, 640)
        ((x, y, w, h),) = cascade.detectMultiScale(image, 1.1, 3, minSize=(48, 48))
        text = ck / "Landmarks" / path.relative_to(ck / "cohn-kanade-images")
        text = text.with_name(text.stem + "_landmarks.txt")
        assert re.fullmatch(rf"({NUMBER}{NUMBER}\n){{68}}", text.read_text())
        points = np.loadtxt(text)[17:]  # brows, nose, eyes, mouth
        assert (points > (x, y)).all()
        assert (points < (x + w, y + h)).all()


def test_people_are_not_those_of_snap(ck: Path, snap: Path) -> None:
    """The same seed draws other people, so that no set leaks into another."""
    write_ckplus(ck.parent / "seven", subjects=1, frames=2, seed=7)
    one = cv2.imread(str(ck.parent / "seven/cohn-kanade-images/S001/001/S001_001_00000001.png"), 0)
    two = cv2.imread(str(snap / "SNAPcam1/S001/001/img_001.png"), 0)
    left = (640 - 490) // 2
    one = cv2.resize(one[:, left : left + 490], two.shape, interpolation=cv2.INTER_AREA)
    face = (slice(35, 90), slice(38, 82))
    assert np.corrcoef(one[face].ravel(), two[face].ravel())[0, 1] < 0.9
