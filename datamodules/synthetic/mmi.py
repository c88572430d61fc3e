"""Writes drawn faces in the official layout of MMI."""

from __future__ import annotations

from pathlib import Path

from datamodules.labels import MMI_CODES, Expression
from datamodules.synthetic.painting import Bytes
from datamodules.synthetic.scene import Frame
from datamodules.synthetic.takes import draw_takes, write_film

_LAYOUT = 6
_HEIGHT, _WIDTH = 288, 360  # half of the released ones
_CODES = {expression: code for code, expression in MMI_CODES.items()}
_SESSION = """<?xml version="1.0" encoding="UTF-8"?>
<session sessionId="{session}">
  <subject id="{subject}"/>
  <track type="Video" view="0" filename="{sid}.avi"/>
</session>
"""
_LABEL = """<?xml version="1.0" encoding="UTF-8"?>
<Description>
  <Metatag Name="Emotion" Value="{code}"/>
</Description>
"""


def write_mmi(root: Path, *, subjects: int = 20, frames: int = 6) -> None:
    """Draws a data set of films from neutral to apex and back, once.

    Every person shows the six expressions before one camera.

    Args:
        root: Where the tree goes: `Sessions/1/S001-001.avi` with its label `S001-001.xml` and
            `session.xml`, and so on.
        subjects: Number of people.
        frames: Frames from neutral to apex; a film has as many on the way back.

    Raises:
        UserError, DatasetError: See `draw_people`.

    Reference:
        M. Pantic et al., "Web-based database for facial expression analysis", ICME 2005.
    """

    def keep(folder: Path, subject: int, shown: Expression, pictures: list[Bytes]) -> None:
        number = list(_CODES).index(shown) + 1
        session, sid = subject * len(_CODES) + number, f"S{subject + 1:03d}-{number:03d}"
        place = folder / "Sessions" / str(session)
        place.mkdir(parents=True)
        write_film(place / f"{sid}.avi", "MJPG", [*pictures, *pictures[-2::-1]])
        described = _SESSION.format(session=session, subject=subject + 1, sid=sid)
        (place / "session.xml").write_text(described)
        (place / f"{sid}.xml").write_text(_LABEL.format(code=_CODES[shown]))

    frame = Frame(_HEIGHT, _WIDTH, unit=0.22 * _HEIGHT, centre=(0.5 * _WIDTH, 0.48 * _HEIGHT))
    draw_takes(
        root,
        "MMI",
        keep,
        layout=_LAYOUT,
        expressions=tuple(_CODES),
        frame=frame,
        subjects=subjects,
        frames=frames,
    )
