"""Writes drawn faces in the official layout of CK+."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from datamodules.labels import CKPLUS_CODES, Expression
from datamodules.synthetic.geometry import Floats
from datamodules.synthetic.people import cast
from datamodules.synthetic.scene import Frame
from datamodules.synthetic.sequence import TakeFrame, sample_take
from datamodules.synthetic.takes import TAKE_DIFFICULTY, draw_people, shoot
from datamodules.synthetic.tree import write_png

_LAYOUT = 2
_CODES = {expression: code for code, expression in CKPLUS_CODES.items()}
_EMOTIONS = tuple(expression for expression in Expression if expression != Expression.NEUTRAL)
_HEIGHT, _WIDTH = 490, 640
_FACS_LEVELS = 5  # A to E


def write_ckplus(root: Path, *, subjects: int = 20, frames: int = 6, seed: int = 0) -> None:
    """Draws a data set of sequences from neutral to peak, once.

    Every subject shows the seven emotions of CK+ in an order of their own, and one sequence more
    that has FACS codes but no emotion, as many in CK+. Same arguments give the same bytes.

    Args:
        root: Where the tree goes: `cohn-kanade-images`, `Emotion`, `FACS`, `Landmarks`.
        subjects: Number of people.
        frames: Frames of a sequence, from neutral to peak.
        seed: Seed of everything.

    Raises:
        UserError, DatasetError: See `draw_people`.

    Reference:
        P. Lucey et al., "The Extended Cohn-Kanade Dataset (CK+)", CVPR Workshops 2010.
    """
    draw = partial(_draw_person, frames=frames, seed=seed)
    draw_people(root, "CK+", draw, subjects=subjects, frames=frames, seed=seed)


def _draw_person(folder: Path, subject: int, *, frames: int, seed: int) -> None:
    frame = Frame(_HEIGHT, _WIDTH, unit=0.215 * _HEIGHT, centre=(0.5 * _WIDTH, 0.46 * _HEIGHT))
    model, light = cast(_LAYOUT, seed, subject, frame)
    order = np.random.default_rng([seed, _LAYOUT, subject, 0])
    emotions: list[Expression | None] = [
        *(_EMOTIONS[k] for k in order.permutation(len(_EMOTIONS))),
        None,
    ]
    name = f"S{subject + 1:03d}"
    for number, emotion in enumerate(emotions, start=1):
        rng = np.random.default_rng([seed, _LAYOUT, subject, number])
        shown = emotion or _EMOTIONS[int(rng.integers(len(_EMOTIONS)))]
        expressiveness = model.identity.expressiveness
        take = sample_take(shown, "static", frames, rng, TAKE_DIFFICULTY, expressiveness)
        place = Path(name) / f"{number:03d}"
        stem = f"{name}_{number:03d}"
        for kind in ("cohn-kanade-images", "Landmarks", "FACS", "Emotion"):
            (folder / kind / place).mkdir(parents=True)
        for index, moment in enumerate(take, start=1):
            picture = shoot(model, light, moment, rng)
            file = f"{stem}_{index:08d}"
            write_png(folder / "cohn-kanade-images" / place / f"{file}.png", picture.image)
            landmarks = _numbers(picture.landmarks)
            (folder / "Landmarks" / place / f"{file}_landmarks.txt").write_text(landmarks)
        peak = f"{stem}_{frames:08d}"
        (folder / "FACS" / place / f"{peak}_facs.txt").write_text(_facs(take[-1], rng))
        if emotion is not None:
            label = _numbers([[_CODES[emotion]]])
            (folder / "Emotion" / place / f"{peak}_emotion.txt").write_text(label)


def _numbers(rows: Sequence[Sequence[float]] | Floats) -> str:
    """Lines of numbers as MATLAB saves them: `   3.0000000e+00`."""
    return "".join("".join(f"   {value:.7e}" for value in row) + "\n" for row in rows)


def _facs(peak: TakeFrame, rng: np.random.Generator) -> str:
    """Units of the peak with their levels 1 (A) to 5 (E); 0 is present without a level."""
    levels: dict[int, int] = {}
    for unit, intensity in peak.action_units.items():
        level = round(intensity * _FACS_LEVELS)
        if level >= 1:
            number = int(str(unit).lstrip("LR"))
            levels[number] = max(level, levels.get(number, 0))
    rows = [(unit, 0 if rng.random() < 0.1 else level) for unit, level in sorted(levels.items())]
    return _numbers(rows)
