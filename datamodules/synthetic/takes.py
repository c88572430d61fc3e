"""Draws takes of people, person by person, for the layouts of sequences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from datamodules.errors import UserError
from datamodules.labels import Expression
from datamodules.store.threads import for_each
from datamodules.synthetic.difficulty import Difficulty
from datamodules.synthetic.face import FaceModel, Rendering
from datamodules.synthetic.light import Light
from datamodules.synthetic.painting import Bytes
from datamodules.synthetic.people import cast
from datamodules.synthetic.scene import Frame
from datamodules.synthetic.sequence import TakeFrame, sample_take
from datamodules.synthetic.tree import write_tree

KeepTake = Callable[[Path, int, Expression, list[Bytes]], None]
"""Writes a take below a folder: the number of the person from 0, what is shown, the frames."""

RATE = 25
"""Frames a second."""

TAKE_DIFFICULTY = Difficulty()
"""How much people and takes vary."""

_SEED = 0


def draw_people(
    root: Path,
    name: str,
    draw_person: Callable[[Path, int], None],
    *,
    subjects: int,
    frames: int,
    seed: int,
    workers: int | None = None,
    begin: Callable[[Path], None] = lambda folder: None,
    **more: int,
) -> None:
    """Draws a data set of takes from neutral to apex, once.

    Args:
        root: Where the tree goes.
        name: Name of the data set.
        draw_person: Draws all takes of a person, of their number from 0, below a folder.
        subjects: Number of people.
        frames: Frames of a take.
        seed: Seed of everything.
        workers: Number of threads; None for all cores.
        begin: Writes what is not of one person below a folder.
        **more: What else the tree is a function of.

    Raises:
        UserError: Fewer than one subject or two frames.
        DatasetError: The folder cannot be written or holds something else.
    """
    if subjects < 1 or frames < 2:
        raise UserError(
            f"A data set needs 1 subject and 2 frames at least; got {subjects} and {frames}."
        )
    parameters: dict[str, Any] = {"layout": name, "subjects": subjects, "frames": frames, **more}
    parameters |= {"seed": seed, "difficulty": asdict(TAKE_DIFFICULTY)}

    def draw(folder: Path) -> None:
        begin(folder)
        people = range(subjects)
        title = f"drawing {name} faces"
        for_each(people, lambda person: draw_person(folder, person), title, workers=workers)

    write_tree(Path(root), parameters, draw)


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
    colour: bool = False,
) -> None:
    """Draws a data set before one camera, in which each person shows each expression, once.

    Args:
        root: Where the tree goes.
        name: Name of the data set.
        keep: Writes a take in its layout.
        layout: Number of the layout: no two data sets share people.
        expressions: What everybody shows.
        frame: Pictures, and where the head is in them.
        subjects: Number of people.
        frames: Frames of a take.
        colour: Whether the pictures are RGB rather than grey.

    Raises:
        UserError, DatasetError: See `draw_people`.
    """

    def draw_person(folder: Path, person: int) -> None:
        model, light = cast(layout, _SEED, person, frame)
        for number, expression in enumerate(expressions, start=1):
            rng = np.random.default_rng([_SEED, layout, person, number])
            expressiveness = model.identity.expressiveness
            take = sample_take(expression, "static", frames, rng, TAKE_DIFFICULTY, expressiveness)
            pictures = [shoot(model, light, one, rng, colour=colour).image for one in take]
            keep(folder, person, expression, pictures)

    draw_people(root, name, draw_person, subjects=subjects, frames=frames, seed=_SEED)


def shoot(
    model: FaceModel,
    light: Light,
    moment: TakeFrame,
    rng: np.random.Generator,
    *,
    colour: bool = False,
) -> Rendering:
    """Photographs an instant of a take by the camera in the room."""
    return model.picture(
        model.express(moment.action_units),
        moment.free,
        replace(light, gain=moment.gains[1]),
        rng,
        TAKE_DIFFICULTY.noise,
        colour=colour,
    )


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
