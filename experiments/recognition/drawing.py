"""Pictures of what `lightning predict --onnx` read. Without torch."""

from __future__ import annotations

import csv
from functools import partial
from pathlib import Path

from callbacks.figures.face_drawing import InputPictures, ReadFace
from callbacks.figures.film_drawing import FilmDrawing, box_of
from datamodules.errors import printable
from datamodules.files import is_video
from datamodules.inputs.given import Input
from datamodules.inputs.live import LiveStream
from experiments.recognition.recognizer import Recognizer


def draw_answers(
    recognizer: Recognizer,
    given: Input,
    table: Path,
    *,
    method: str,
    annotated: bool,
    timeline: bool,
) -> None:
    """Draw what a table says of an input, beside it.

    Of each film ``<film>.mp4`` and ``<film>_timeline.png``, of each picture in which faces were
    looked for ``<picture>.png``, as the checkpoint's prediction does, but without heat.

    Args:
        recognizer: What answered.
        given: The input.
        table: ``predictions.csv``.
        method: What the titles call the method.
        annotated: Whether to write the films.
        timeline: Whether to draw the probabilities over time.
    """
    title = partial(_titled, method, recognizer.method.trained_on)
    films = FilmDrawing(
        recognizer.method.class_names,
        title,
        every=recognizer.options.every,
        smoothing=recognizer.smoothing,
        annotated=annotated,
        timeline=timeline,
    )
    films.draw(table, table.parent, recognizer.film, live=isinstance(given, LiveStream))
    if isinstance(given, Path):
        root = given if given.is_dir() else given.parent
        _draw_pictures(table, InputPictures(table.parent, root=root, caption=title))


def _draw_pictures(table: Path, pictures: InputPictures) -> None:
    with table.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if "sequence" in row or is_video(Path(row["source"])):
                continue
            answer = row["predicted"]
            share = row.get(answer)
            words = f"{answer} {float(share):.0%}" if share else answer
            face = ReadFace(box_of(row), words, None)
            pictures.add(row["source"], 0, face, name=answer, probability=0.0)
    pictures.finish()


def _titled(method: str, trained_on: str, what: str) -> str:
    return printable(f"{method}, {what}, trained on: {trained_on}")
