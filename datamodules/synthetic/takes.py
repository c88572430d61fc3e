"""Draws the takes of people before one camera, for the layouts of films."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from datamodules.errors import UserError
from datamodules.labels import Expression
from datamodules.store.threads import cores, for_each
from datamodules.synthetic.difficulty import Difficulty
from datamodules.synthetic.painting import Bytes
from datamodules.synthetic.people import cast
from datamodules.synthetic.scene import Frame
from datamodules.synthetic.sequence import sample_take
from datamodules.synthetic.tree import write_tree

KeepTake = Callable[[Path, int, Expression, list[Bytes]], None]
"""Writes a take below a folder: the number of the person from 0, what is shown, the frames."""

RATE = 25
"""Frames a second."""


def draw_takes(
    root: Path,
    name: str,
    keep: KeepTake,
    *,
    layout: int,
    expressions: Sequence[Expression],
    frame: Frame,
    subjects: int,
    frames: int,
    seed: int = 0,
    colour: bool = False,
    difficulty: Difficulty | None = None,
    workers: int | None = None,
) -> None:
    """Draws a data set of takes from neutral to apex, each person with each expression, once.

    Args:
        root: Where the tree goes.
        name: Name of the data set.
        keep: Writes a take in its layout.
        layout: Number of the layout: no two data sets share people.
        expressions: What everybody shows.
        frame: Pictures, and where the head is in them.
        subjects: Number of people.
        frames: Frames of a take.
        seed: Seed of everything.
        colour: Whether the pictures are RGB rather than grey.
        difficulty: How much people and takes vary; None for the tuned default.
        workers: Number of threads; None for all cores.

    Raises:
        UserError: Fewer than one subject or two frames.
        DatasetError: The folder cannot be written or holds something else.
    """
    if subjects < 1 or frames < 2:
        raise UserError(
            f"A data set needs 1 subject and 2 frames at least; got {subjects} and {frames}."
        )
    chosen = difficulty or Difficulty()
    parameters: dict[str, Any] = {"layout": name, "subjects": subjects, "frames": frames}
    parameters |= {"seed": seed, "difficulty": asdict(chosen)}

    def draw_subject(folder: Path, subject: int) -> None:
        model, light = cast(layout, seed, subject, frame)
        for number, expression in enumerate(expressions, start=1):
            rng = np.random.default_rng([seed, layout, subject, number])
            take = sample_take(
                expression, "static", frames, rng, chosen, model.identity.expressiveness
            )
            pictures = [
                model.picture(
                    model.express(moment.action_units),
                    moment.free,
                    replace(light, gain=moment.gains[1]),
                    rng,
                    chosen.noise,
                    colour=colour,
                ).image
                for moment in take
            ]
            keep(folder, subject, expression, pictures)

    def draw(folder: Path) -> None:
        for_each(
            range(subjects),
            lambda subject: draw_subject(folder, subject),
            f"drawing {name} faces",
            total=subjects,
            workers=workers or cores(),
        )

    write_tree(Path(root), parameters, draw)


def write_film(path: Path, codec: str, pictures: Sequence[Bytes]) -> None:
    """Writes a film of 25 frames a second.

    Args:
        path: The file; its suffix names the container.
        codec: Four letters.
        pictures: uint8 [h, w] grey or [h, w, 3] RGB, each.

    Raises:
        OSError: The file cannot be written.
    """
    height, width = pictures[0].shape[:2]
    fourcc = cv2.VideoWriter.fourcc(*codec)
    writer = cv2.VideoWriter(str(path), fourcc, RATE, (width, height))
    for picture in pictures:
        code = cv2.COLOR_GRAY2BGR if picture.ndim == 2 else cv2.COLOR_RGB2BGR
        writer.write(cv2.cvtColor(picture, code))
    writer.release()
    if not path.is_file() or not path.stat().st_size:
        raise OSError(f"{path} could not be written as a film")
