import csv
import json
import re
from collections import Counter
from pathlib import Path

import cv2
import cv2.data
import numpy as np
import pytest

from datamodules.files import MARKER
from datamodules.labels import LILLE_CODES, Expression
from datamodules.synthetic import POSES, Difficulty, write_snap2dfe

CAMERAS = ("SNAPcam1", "SNAPcam2")


def files(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def rows(path: Path) -> list[list[str]]:
    with path.open(newline="") as file:
        return list(csv.reader(file, delimiter=";"))


def read(path: Path) -> np.ndarray:
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)


def test_layout_is_the_restructured_one(snap: Path) -> None:
    assert {p.name for p in snap.iterdir()} == {*CAMERAS, "emotions", "movements.csv", MARKER}
    frames = sorted(snap.glob("SNAPcam*/*/*/*"))
    assert len(frames) == 2 * 2 * 42 * 2
    pattern = re.compile(r"SNAPcam[12]/S00[12]/0[0-4]\d/img_00[12]\.png")
    assert all(pattern.fullmatch(str(p.relative_to(snap))) for p in frames)
    one, two = ({str(p.relative_to(snap / c)) for p in (snap / c).rglob("*.png")} for c in CAMERAS)
    assert one == two, "both cameras have the same frames"
    image = read(frames[0])
    assert image.shape == (120, 120)
    assert image.dtype == np.uint8


def test_labels_are_the_codes_of_lille(snap: Path) -> None:
    labels = rows(snap / "emotions" / "SNAP_emotions.csv")
    assert len(labels) == 84
    assert {(s, q) for s, q, _ in labels} == {
        (p.parent.name, p.name) for p in (snap / "SNAPcam1").glob("*/*")
    }
    counts = Counter(int(code) for _, _, code in labels)
    assert counts == dict.fromkeys(range(7), 12)
    assert LILLE_CODES[0] is Expression.NEUTRAL


def test_each_movement_meets_each_expression(snap: Path) -> None:
    header, *movements = rows(snap / "movements.csv")
    assert header == ["sub_id", "seq_id", "movement"]
    labels = {(s, q): code for s, q, code in rows(snap / "emotions" / "SNAP_emotions.csv")}
    pairs = Counter((movement, labels[s, q]) for s, q, movement in movements)
    assert pairs == {(movement, str(code)): 2 for movement in POSES for code in range(7)}


def test_marker_says_what_was_drawn(snap: Path) -> None:
    marker = json.loads((snap / MARKER).read_text())
    assert marker["layout"] == "SNaP-2DFe"
    assert marker["seed"] == 7
    assert marker["difficulty"]["noise"] == Difficulty().noise


def test_bytes_depend_on_the_seed_only(snap: Path, tmp_path: Path) -> None:
    again, other = tmp_path / "again", tmp_path / "other"
    write_snap2dfe(again, subjects=2, frames=2, size=120, seed=7, workers=1)
    assert files(again) == files(snap)
    write_snap2dfe(other, subjects=1, frames=2, size=120, seed=8)
    frame = "SNAPcam1/S001/001/img_001.png"
    assert (other / frame).read_bytes() != (snap / frame).read_bytes()


def test_cascade_finds_exactly_the_face(snap: Path) -> None:
    cascade = cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_alt2.xml")
    for path in sorted(snap.glob("SNAPcam*/*/*/img_001.png")):
        boxes = cascade.detectMultiScale(read(path), 1.1, 3, minSize=(48, 48))
        assert len(boxes) == 1, path
        x, y, w, h = boxes[0]
        assert 45 <= w <= 75
        assert abs(x + w / 2 - 60) < 8
        assert abs(y + h / 2 - 60) < 10


def test_only_the_free_camera_sees_head_motion(snap: Path) -> None:
    """In neutral takes all flow is head motion."""
    labels = {(s, q): code for s, q, code in rows(snap / "emotions" / "SNAP_emotions.csv")}
    _, *movements = rows(snap / "movements.csv")
    flows: dict[tuple[str, bool], list[float]] = {}
    for subject, sequence, movement in movements:
        if labels[subject, sequence] != "0":
            continue
        for camera in CAMERAS:
            folder = snap / camera / subject / sequence
            first, last = (read(folder / f"img_00{k}.png") for k in (1, 2))
            flow = cv2.calcOpticalFlowFarneback(first, last, None, 0.5, 3, 15, 3, 7, 1.5, 0)
            length = float(np.linalg.norm(flow[35:85, 40:80], axis=-1).mean())
            flows.setdefault((camera, movement == "static"), []).append(length)
    assert max(flows["SNAPcam1", True] + flows["SNAPcam1", False]) < 0.8
    assert min(flows["SNAPcam2", False]) > 1.0
    assert np.mean(flows["SNAPcam2", False]) > 2 * np.mean(flows["SNAPcam2", True])


def test_cameras_share_the_expression(snap: Path) -> None:
    """On static takes the two cameras differ by sway and noise only."""
    _, *movements = rows(snap / "movements.csv")
    for subject, sequence, movement in movements:
        if movement == "static":
            one, two = (
                read(snap / c / subject / sequence / "img_002.png").astype(float) for c in CAMERAS
            )
            assert np.corrcoef(one.ravel(), two.ravel())[0, 1] > 0.97


@pytest.mark.parametrize(("subjects", "frames"), [(0, 2), (1, 1)])
def test_too_little_is_refused(tmp_path: Path, subjects: int, frames: int) -> None:
    with pytest.raises(ValueError, match=f"got {subjects} and {frames}"):
        write_snap2dfe(tmp_path / "faces", subjects=subjects, frames=frames)
    assert not (tmp_path / "faces").exists()
