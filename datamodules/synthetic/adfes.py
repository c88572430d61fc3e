"""Writes drawn faces in the layout of ADFES."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from datamodules.labels import Expression
from datamodules.synthetic.painting import Bytes
from datamodules.synthetic.scene import Frame
from datamodules.synthetic.takes import draw_takes, write_film

_LAYOUT = 7
_HEIGHT, _WIDTH = 288, 360  # half of the released ones
_WORDS = {
    expression: "Joy" if expression == Expression.HAPPINESS else expression.name.capitalize()
    for expression in Expression
}
_QUALITY = 95  # of the JPEG files


def write_adfes(root: Path, *, subjects: int = 20, frames: int = 6) -> None:
    """Draws a data set of films whose apex is held, and a picture of each apex, once.

    Every second name is a woman's; everybody shows seven expressions and a neutral face,
    in colour.

    Args:
        root: Where the tree goes: `Films/F01-Joy-Face Forward.mp4`, `Pictures/F01-Joy-Apex.jpg`,
            `Pictures/F01-Neutral.jpg` and so on.
        subjects: Number of people.
        frames: Frames from neutral to apex, which is then held for as many.

    Raises:
        UserError, DatasetError: See `draw_people`.

    Reference:
        J. van der Schalk et al., "Moving faces, looking places: validation of the Amsterdam Dynamic
        Facial Expression Set (ADFES)", Emotion 2011.
    """

    def keep(folder: Path, subject: int, shown: Expression, pictures: list[Bytes]) -> None:
        films, stills = folder / "Films", folder / "Pictures"
        for place in (films, stills):
            place.mkdir(exist_ok=True)
        name = f"{'FM'[subject % 2]}{subject // 2 + 1:02d}-{_WORDS[shown]}"
        # A film of an odd number of frames has the first one of the apex in its middle.
        held = [pictures[-1]] * (frames - 1)
        write_film(films / f"{name}-Face Forward.mp4", "mp4v", [*pictures, *held])
        still = stills / (f"{name}.jpg" if shown == Expression.NEUTRAL else f"{name}-Apex.jpg")
        image = cv2.cvtColor(pictures[-1], cv2.COLOR_RGB2BGR)
        _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
        still.write_bytes(np.asarray(data).tobytes())

    frame = Frame(_HEIGHT, _WIDTH, unit=0.22 * _HEIGHT, centre=(0.5 * _WIDTH, 0.48 * _HEIGHT))
    draw_takes(
        root,
        "ADFES",
        keep,
        layout=_LAYOUT,
        expressions=tuple(Expression),
        frame=frame,
        subjects=subjects,
        frames=frames,
        colour=True,
    )
