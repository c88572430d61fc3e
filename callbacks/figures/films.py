"""Films with what was read in them: boxes and answers drawn in, and the answers over time."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from contextlib import closing
from itertools import groupby
from pathlib import Path

import cv2
import lightning.pytorch as pl
import numpy as np
from lightning.pytorch.utilities import rank_zero_info

from callbacks.figures.base import (
    figures_folder,
    input_folder,
    is_live,
    titled,
    write_picture,
)
from callbacks.figures.face_drawing import ReadFace, draw_faces
from callbacks.figures.style import Picture
from callbacks.figures.timeline import Timeline, draw_timeline
from callbacks.records.rows import SMOOTHED
from datamodules.errors import BadSample
from datamodules.files import file_name
from datamodules.recordings import FrameFolder, Video
from datamodules.store.replacing import replacing

Row = Mapping[str, str]


class FilmPictures(pl.Callback):
    """Draws what ``predictions.csv`` says of each film of an input, once it is whole.

    Into ``figures/predict/<input>/`` go ``<film>.mp4``, the frames that were looked at, each face
    with its box, its number, the smoothed answer and its probability; and
    ``<film>_timeline.png``, the smoothed probabilities of each person over time. The films are read
    a second time and table and film go by frame by frame, so that no length needs more memory. A
    live stream, which cannot be read again, has a timeline only.

    Args:
        annotated: Whether to write the films.
        timeline: Whether to draw the probabilities over time.
    """

    def __init__(self, annotated: bool = True, timeline: bool = True) -> None:
        self.annotated = annotated
        self.timeline = timeline

    def on_predict_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw the films."""
        data = trainer.datamodule  # type: ignore[attr-defined]
        report = getattr(data, "report", None)
        if report is None or not report.answers or not trainer.is_global_zero:
            return
        table = Path(trainer.default_root_dir) / input_folder(trainer) / "predictions.csv"
        if not table.is_file():  # no callback writes one
            return
        folder = figures_folder(trainer) / input_folder(trainer)
        with table.open(newline="", encoding="utf-8") as file:
            for name, rows in groupby(csv.DictReader(file), key=_film_of):
                film = data.film(name)
                if film is None and not is_live(trainer):
                    continue
                timeline = Timeline(data.class_names)
                watched = _watch(rows, timeline)
                if self.annotated and film is not None:
                    path = folder / f"{file_name(name)}.mp4"
                    annotate(film, watched, path, data.every)
                for _ in watched:  # what no film has taken
                    pass
                if self.timeline and timeline.tracks:
                    what = titled(trainer, f"{name}, smoothed over {data.smoothing:g} s")
                    figure = draw_timeline(timeline, what)
                    write_picture(folder / f"{file_name(name)}_timeline.png", figure)
        if folder.is_dir():
            rank_zero_info(f"Films and timelines: {folder}")


def annotate(film: FrameFolder | Video, rows: Iterator[Row], path: Path, every: int) -> None:
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
    said = f"{row['track']}: {answer}" + (f" {float(share):.0%}" if share else "")
    x, y, width, height = (int(row[side]) for side in ("x", "y", "width", "height"))
    return ReadFace((x, y, width, height), said, None)
