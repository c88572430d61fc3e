"""Tiny data sets in their real layouts: a textured disc that moves and swells."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray


def picture(
    person: int, progress: float, head: float = 0.0, size: int = 32, colour: bool = False
) -> NDArray[np.uint8]:
    """Draw a person at a moment of an expression; `head` is the head's shift in pixels."""
    rng = np.random.default_rng(person)
    texture = cv2.GaussianBlur(rng.uniform(0, 255, (size, size)).astype(np.float32), (0, 0), 1.5)
    texture = cv2.normalize(texture, np.zeros_like(texture), 20, 235, cv2.NORM_MINMAX)
    middle = (size - 1) / 2
    matrix = cv2.getRotationMatrix2D((middle, middle), 0, 1 + 0.1 * progress)
    matrix[0, 2] += head
    moved = cv2.warpAffine(texture, matrix, (size, size), borderMode=cv2.BORDER_REFLECT)
    image = np.asarray(moved, np.uint8)
    return np.dstack([image, image // 2, image // 3]) if colour else image


def write_frames(
    folder: Path, person: int, frames: int, head: float = 0.0, name: str = "img_{:03d}.png"
) -> None:
    """Write a recording as a folder of frames."""
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(frames):
        progress = index / max(frames - 1, 1)
        path = folder / name.format(index + 1)
        assert cv2.imwrite(str(path), picture(person, progress, head * progress))


def write_video(path: Path, person: int, frames: int, head: float = 0.0) -> None:
    """Write a recording as a lossless video."""
    path.parent.mkdir(parents=True, exist_ok=True)
    codec = cv2.VideoWriter_fourcc(*"FFV1")  # type: ignore[attr-defined]
    writer = cv2.VideoWriter(str(path), codec, 10, (32, 32))
    for index in range(frames):
        progress = index / max(frames - 1, 1)
        writer.write(cv2.cvtColor(picture(person, progress, head * progress), cv2.COLOR_GRAY2BGR))
    writer.release()


def snap_tree(
    root: Path, subjects: int = 3, codes: Sequence[int] = (1, 2), frames: int = 3
) -> Path:
    """Write SNaP-2DFe: a sequence of each code for each subject."""
    lines = []
    for subject in range(1, subjects + 1):
        for number, code in enumerate(codes, start=1):
            place = Path(f"S{subject:03d}") / f"{number:03d}"
            for camera, head in (("SNAPcam1", 0.0), ("SNAPcam2", 2.0)):
                write_frames(root / camera / place, subject, frames, head)
            lines.append(f"S{subject:03d};{number:03d};{code}")
    (root / "emotions").mkdir()
    (root / "emotions" / "SNAP_emotions.csv").write_text("\n".join(lines) + "\n")
    return root


def ckplus_tree(
    root: Path, subjects: int = 3, codes: Sequence[int | None] = (5, 7), frames: int = 3
) -> Path:
    """Write CK+: a sequence of each code for each subject, None for one without a label."""
    for subject in range(1, subjects + 1):
        for number, code in enumerate(codes, start=1):
            stem = f"S{subject:03d}_{number:03d}"
            place = Path(f"S{subject:03d}") / f"{number:03d}"
            folder = root / "cohn-kanade-images" / place
            write_frames(folder, subject, frames, name=stem + "_{:08d}.png")
            (root / "Emotion" / place).mkdir(parents=True)
            if code is not None:
                label = root / "Emotion" / place / f"{stem}_{frames:08d}_emotion.txt"
                label.write_text(f"   {code:.7e}\n")
    return root


def oulu_tree(
    root: Path,
    subjects: int = 3,
    words: Sequence[str] = ("Happiness", "Surprise"),
    cameras: Sequence[str] = ("OriginalImg/VL",),
    lights: Sequence[str] = ("Strong",),
    frames: int = 3,
) -> Path:
    """Write Oulu-CASIA: a sequence of each word for each subject, frames from 0."""
    for subject in range(1, subjects + 1):
        for place in (Path(camera) / light for camera in cameras for light in lights):
            for word in words:
                folder = root / place / f"P{subject:03d}" / word
                folder.mkdir(parents=True)
                for index in range(frames):
                    image = picture(subject, index / max(frames - 1, 1))
                    assert cv2.imwrite(str(folder / f"{index:03d}.jpeg"), image)
    return root


MMI_SESSION = (
    '<session xmlns="x"><subject id="1"/><track filename="{sid}.avi" view="{view}"/></session>'
)
MMI_LABEL = '<Description><Metatag Name="Emotion" Value="{code}"/></Description>'


def mmi_session(
    root: Path, session: int, sid: str, code: object | None = 1, view: int | None = 0
) -> Path:
    """Write a session of MMI: a film, None for the label or view that it lacks."""
    folder = root / "Sessions" / str(session)
    write_video(folder / f"{sid}.avi", session, frames=5)
    if code is not None:
        (folder / f"{sid}.xml").write_text(MMI_LABEL.format(code=code))
    if view is not None:
        (folder / "session.xml").write_text(MMI_SESSION.format(sid=sid, view=view))
    return folder


def mmi_tree(root: Path, subjects: int = 3, codes: Sequence[int] = (4, 6)) -> Path:
    """Write MMI: a session of each code for each subject."""
    session = 0
    for subject in range(1, subjects + 1):
        for number, code in enumerate(codes, start=1):
            session += 1
            mmi_session(root, session, f"S{subject:03d}-{number:03d}", code)
    return root


def adfes_films(
    root: Path,
    people: Sequence[str] = ("F01", "M01", "M02"),
    words: Sequence[str] = ("Joy", "Surprise"),
    version: str = "Face Forward",
) -> Path:
    """Write films of ADFES, a film of each word for each person."""
    for number, person in enumerate(people):
        for word in words:
            write_video(root / "Films" / f"{person}-{word}-{version}.avi", number, frames=5)
    return root


def adfes_pictures(root: Path, people: Sequence[str] = ("F01", "M01", "M02")) -> Path:
    """Write the pictures of ADFES."""
    (root / "Stills").mkdir(parents=True, exist_ok=True)
    for number, person in enumerate(people):
        for end in ("Joy-Apex", "Anger-Apex", "Neutral"):
            path = root / "Stills" / f"{person}-{end}.jpg"
            assert cv2.imwrite(str(path), picture(number, 1.0))
    return root
