"""Writes drawn faces in the official layout of Oulu-CASIA."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from datamodules.labels import OULU_CODES, Expression
from datamodules.synthetic.painting import Bytes
from datamodules.synthetic.scene import Frame
from datamodules.synthetic.takes import draw_takes

_LAYOUT = 5
_HEIGHT, _WIDTH = 240, 320
_FOLDERS = {expression: word for word, expression in OULU_CODES.items()}
_QUALITY = 95  # of the JPEG files
_WEAK = 0.45  # of the strong light


def write_oulu(root: Path, *, subjects: int = 20, frames: int = 6) -> None:
    """Draws a data set of sequences from neutral to apex, once.

    Every person shows the six expressions, filmed by the camera of visible light in strong and in
    weak light. The same take is shown in both.

    Args:
        root: Where the tree goes: `OriginalImg/VL/{Strong,Weak}/P001/Anger/000.jpeg` and so on, of
            320 x 240 pixels.
        subjects: Number of people.
        frames: Frames of a sequence.

    Raises:
        UserError, DatasetError: See `draw_people`.

    Reference:
        G. Zhao et al., "Facial expression recognition from near-infrared videos", Image and Vision
        Computing 2011.
    """

    def keep(folder: Path, subject: int, shown: Expression, pictures: list[Bytes]) -> None:
        for light in ("Strong", "Weak"):
            camera = folder / "OriginalImg" / "VL" / light
            sequence = camera / f"P{subject + 1:03d}" / _FOLDERS[shown]
            sequence.mkdir(parents=True)
            for number, picture in enumerate(pictures):
                lit = picture if light == "Strong" else np.asarray(_WEAK * picture, np.uint8)
                _, data = cv2.imencode(".jpeg", lit, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
                (sequence / f"{number:03d}.jpeg").write_bytes(np.asarray(data).tobytes())

    frame = Frame(_HEIGHT, _WIDTH, unit=0.22 * _HEIGHT, centre=(0.5 * _WIDTH, 0.48 * _HEIGHT))
    draw_takes(
        root,
        "Oulu-CASIA",
        keep,
        layout=_LAYOUT,
        expressions=tuple(_FOLDERS),
        frame=frame,
        subjects=subjects,
        frames=frames,
    )
