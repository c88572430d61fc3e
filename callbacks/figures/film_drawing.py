"""Films with what was read in them: boxes and answers drawn in, and the answers over time."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import groupby
from pathlib import Path

import cv2
import numpy as np

from callbacks.figures.face_drawing import ReadFace, draw_faces
from callbacks.figures.pictures import write_picture
from callbacks.figures.style import Picture
from callbacks.figures.timeline import Timeline, draw_timeline
from callbacks.records.rows import SMOOTHED
from datamodules.errors import BadSample
from datamodules.files import file_name
from datamodules.recordings import FrameFolder, Video
from datamodules.store.replacing import replacing

Row = Mapping[str, str]
Film = FrameFolder | Video


class FilmDrawing:
    """Draws what ``predictions.csv`` says of each film of an input. Without torch.

    Args:
        classes: Names of the classes.
        title: Makes the title of a timeline of what it shows.
        every: Every n-th frame was looked at, and is written.
        smoothing: Time constant of the smoothed probabilities in seconds; 0 for none.
        annotated: Whether to write the films.
        timeline: Whether to draw the probabilities over time.
    """

    def __init__(
        self,
        classes: Sequence[str],
        title: Callable[[str], str],
        *,
        every: int,
        smoothing: float,
        annotated: bool,
        timeline: bool,
    ) -> None:
        self._classes = classes
        self._title = title
        self._every = every
        self._smoothing = smoothing
        self._annotated = annotated
        self._timeline = timeline

    def draw(
        self, table: Path, folder: Path, film_of: Callable[[str], Film | None], *, live: bool
    ) -> bool:
        """Write ``<film>.mp4`` and ``<film>_timeline.png`` of each film in the table.

        The films are read a second time and table and film go by frame by frame, so that no length
        needs more memory.

        Args:
            table: ``predictions.csv``, the rows of a film together and in the order of frames.
            folder: Where films and timelines go.
            film_of: Opens the film of a name in the rows once more; None for what is no film.
            live: Whether it is a stream, which cannot be read again and has a timeline only.

        Returns:
            Whether there was anything to draw.
        """
        drawn = False
        with table.open(newline="", encoding="utf-8") as file:
            for name, rows in groupby(csv.DictReader(file), key=_film_of):
                film = film_of(name)
                if film is None and not live:
                    continue
                timeline = Timeline(self._classes)
                watched = _watch(rows, timeline)
                if self._annotated and film is not None:
                    drawn = True
                    annotate(film, watched, folder / f"{file_name(name)}.mp4", self._every)
                for _ in watched:  # what no film has taken
                    pass
                if self._timeline and timeline.tracks:
                    drawn = True
                    over = f", smoothed over {self._smoothing:g} s" if self._smoothing else ""
                    figure = draw_timeline(timeline, self._title(f"{name}{over}"))
                    write_picture(folder / f"{file_name(name)}_timeline.png", figure)
        return drawn


def annotate(film: Film, rows: Iterator[Row], path: Path, every: int) -> None:
    """Write a film as MP4 with the faces and answers of rows, which are in the order of frames.

    Args:
        film: The film.
        rows: Of ``predictions.csv``.
        path: Where it goes.
        every: Every n-th frame was looked at, and is written.
    """
    by_frame = groupby(rows, key=lambda row: int(row["frame"]))
    coming = next(by_frame, None)
    with replacing(path) as aside, closing(_Writer(aside, film.rate / every)) as writer:
        for frame in film.frames(colour=True, every=every):
            if isinstance(frame.picture, BadSample):
                continue
            while coming is not None and coming[0] < frame.number:
                coming = next(by_frame, None)
            faces = []
            if coming is not None and coming[0] == frame.number:
                faces = [_face(row) for row in coming[1]]
            writer.add(draw_faces(frame.picture, faces))


def box_of(row: Row) -> tuple[int, int, int, int]:
    """Return the box of a row: x, y, width, height in pixels."""
    return int(row["x"]), int(row["y"]), int(row["width"]), int(row["height"])


class _Writer:
    """Writes frames of one size; OpenCV takes the size when it opens a file."""

    def __init__(self, path: Path, rate: float) -> None:
        self._path = path
        self._rate = rate
        self._size = (0, 0)
        self._writer: cv2.VideoWriter | None = None

    def add(self, picture: Picture) -> None:
        """Write a frame, RGB [H, W, 3]; the codec needs even sides."""
        if self._writer is None:
            self._size = (picture.shape[1] // 2 * 2, picture.shape[0] // 2 * 2)
            codec = cv2.VideoWriter_fourcc(*"mp4v")  # type: ignore[attr-defined]
            self._writer = cv2.VideoWriter(str(self._path), codec, self._rate, self._size)
        width, height = self._size
        if picture.shape[0] >= height and picture.shape[1] >= width:
            self._writer.write(np.ascontiguousarray(picture[:height, :width, ::-1]))

    def close(self) -> None:
        """Finish the file."""
        if self._writer is not None:
            self._writer.release()


def _film_of(row: Row) -> str:
    return row.get("sequence") or row["source"]


def _watch(rows: Iterator[Row], timeline: Timeline) -> Iterator[Row]:
    for row in rows:
        timeline.add(row)
        yield row


def _face(row: Row) -> ReadFace:
    answer = row.get(SMOOTHED) or row["predicted"]
    share = row.get(f"{SMOOTHED}_{answer}") or row.get(answer)
    said = row["track"] + (f": {answer}" if answer else "")
    said += f" {float(share):.0%}" if share else ""
    return ReadFace(box_of(row), said, None)
