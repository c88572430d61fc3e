"""Writes drawn faces in the restructured layout of SNaP-2DFe."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from datamodules.labels import LILLE_CODES, Expression
from datamodules.synthetic.head_pose import POSES
from datamodules.synthetic.people import cast
from datamodules.synthetic.scene import Frame
from datamodules.synthetic.sequence import sample_take
from datamodules.synthetic.takes import TAKE_DIFFICULTY, draw_people
from datamodules.synthetic.tree import write_png

_LAYOUT = 1
_CAMERAS = ("SNAPcam1", "SNAPcam2")
_CODES = {expression: code for code, expression in LILLE_CODES.items()}
# Each head movement with each expression, as in the original recordings.
_TAKES = tuple(
    (movement, expression) for movement in POSES for expression in Expression if expression < 7
)


def write_snap2dfe(
    root: Path,
    *,
    subjects: int = 20,
    frames: int = 4,
    size: int = 240,
    seed: int = 0,
    workers: int | None = None,
) -> None:
    """Draws a data set with two synchronous cameras, once.

    cam1 sits on a helmet and sees no head motion, cam2 stands in the room. Every subject shows
    seven expressions with each of six head movements. Same arguments give the same bytes,
    whatever the number of workers.

    Args:
        root: Where the tree goes: `SNAPcam1/S001/001/img_001.png` and so on,
            `emotions/SNAP_emotions.csv` without header (sub_id;seq_id;label, codes of Lille) and
            `movements.csv` with header (sub_id;seq_id;movement).
        subjects: Number of people.
        frames: Frames of a sequence, from neutral to apex.
        size: Side of the grey pictures in pixels.
        seed: Seed of everything.
        workers: Number of threads; None for all cores.

    Raises:
        UserError, DatasetError: See `draw_people`.

    Reference:
        B. Allaert et al., "Optical flow techniques for facial expression analysis: performance
        evaluation and improvements", 2018, for SNaP-2DFe's movements and cameras.
    """
    draw_people(
        root,
        "SNaP-2DFe",
        partial(_draw_person, frames=frames, size=size, seed=seed),
        subjects=subjects,
        frames=frames,
        seed=seed,
        workers=workers,
        begin=partial(_write_tables, subjects=subjects),
        size=size,
    )


def _write_tables(folder: Path, subjects: int) -> None:
    labels, movements = [], ["sub_id;seq_id;movement"]
    for subject in range(subjects):
        for number, (movement, expression) in enumerate(_TAKES, start=1):
            key = f"{_name(subject)};{number:03d}"
            labels.append(f"{key};{_CODES[expression]}")
            movements.append(f"{key};{movement}")
    (folder / "emotions").mkdir()
    (folder / "emotions" / "SNAP_emotions.csv").write_text("\n".join(labels) + "\n")
    (folder / "movements.csv").write_text("\n".join(movements) + "\n")


def _name(subject: int) -> str:
    return f"S{subject + 1:03d}"


def _draw_person(folder: Path, subject: int, *, frames: int, size: int, seed: int) -> None:
    model, light = cast(_LAYOUT, seed, subject, Frame.square(size))
    for number, (movement, expression) in enumerate(_TAKES, start=1):
        rng = np.random.default_rng([seed, _LAYOUT, subject, number])
        expressiveness = model.identity.expressiveness
        take = sample_take(expression, movement, frames, rng, TAKE_DIFFICULTY, expressiveness)
        folders = [folder / camera / _name(subject) / f"{number:03d}" for camera in _CAMERAS]
        for sequence in folders:
            sequence.mkdir(parents=True)
        for index, moment in enumerate(take, start=1):
            face = model.express(moment.action_units)
            poses = (moment.helmet, moment.free)
            for sequence, pose, gain in zip(folders, poses, moment.gains, strict=True):
                picture = model.picture(
                    face, pose, replace(light, gain=gain), rng, TAKE_DIFFICULTY.noise, colour=False
                )
                write_png(sequence / f"img_{index:03d}.png", picture.image)
