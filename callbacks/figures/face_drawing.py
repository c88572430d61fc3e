"""Faces of the input with box, answer and heat, drawn on the pictures that they are from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import ImageColor

from callbacks.figures.heat import blend_heat, heat_bar
from callbacks.figures.pictures import captioned, write_picture
from callbacks.figures.style import PALETTE, Picture, put_label
from datamodules.errors import BadSample
from datamodules.files import file_name, is_video
from datamodules.images import read_image
from datamodules.recordings import open_video

_LEAST_SIDE, _MOST_SIDE = 480, 1280  # pixels of the longer side, before words are put on it
_GAP = 8  # pixels
_BOX = PALETTE[1]
_BOX_RGB = ImageColor.getrgb(_BOX)


@dataclass(frozen=True)
class ReadFace:
    """A face with what was read in it.

    Attributes:
        box: x, y, width, height in pixels of the picture; it may stick out of it.
        answer: What to write beside it.
        heat: uint8 [H, W], 255 where the answer was read; None for no heat map.
    """

    box: tuple[int, int, int, int]
    answer: str
    heat: Picture | None


class InputPictures:
    """Writes one file for each still picture, and one for each expression read in a film.

    Of stills only the present one is held, of films the best face of each expression, so that the
    memory needed does not grow with the length of a film or the number of pictures. Each picture
    or film comes to one process as a whole.

    Args:
        folder: Where files go: ``<picture>.png`` (``a.jpg.png`` for ``a.jpg``) and
            ``<film>_<expression>.png``.
        root: Folder that the names of sources are below.
        caption: Makes the caption of every picture of what it shows.
    """

    def __init__(self, folder: Path, *, root: Path, caption: Callable[[str], str]) -> None:
        self._folder = folder
        self._caption = caption
        self._root = root
        self._open: tuple[str, list[ReadFace]] | None = None
        self._best: dict[tuple[str, str], tuple[float, int, ReadFace]] = {}

    def wants(self, source: str, name: str, probability: float) -> bool:
        """Tell whether a face would be drawn: on a still always, in a film if it is the surest."""
        best = self._best.get((source, name))
        return not is_video(Path(source)) or best is None or probability > best[0]

    def add(
        self, source: str, frame: int, face: ReadFace, *, name: str, probability: float
    ) -> None:
        """Keep a face of a frame with the expression read; those of a still come in one row."""
        if is_video(Path(source)):
            # Of several faces in one batch the surest stays.
            if self.wants(source, name, probability):
                self._best[source, name] = (probability, frame, face)
            return
        if self._open is None or self._open[0] != source:
            self._draw_still()
            self._open = (source, [])
        self._open[1].append(face)

    def finish(self) -> None:
        """Draw what is left."""
        self._draw_still()
        films: dict[str, dict[int, list[tuple[str, ReadFace]]]] = {}
        for (source, name), (_, frame, face) in self._best.items():
            films.setdefault(source, {}).setdefault(frame, []).append((name, face))
        for source, frames in films.items():
            self._draw_film(source, frames)

    def _draw_still(self) -> None:
        if self._open is None:
            return
        source, faces = self._open
        self._open = None
        picture = read_image(self._root / source, colour=True)
        self._write(file_name(source).removesuffix(".png"), source, draw_faces(picture, faces))

    def _draw_film(self, source: str, frames: dict[int, list[tuple[str, ReadFace]]]) -> None:
        last = max(frames)
        # Read from its beginning: films have no exact way to jump to a frame.
        for index, picture, _ in open_video(self._root / source).frames(colour=True):
            if isinstance(picture, BadSample):
                return
            for name, face in frames.get(index, []):
                drawn = draw_faces(picture, [face])
                self._write(f"{file_name(source)}_{name}", f"{source}, frame {index}", drawn)
            if index == last:
                return

    def _write(self, stem: str, what: str, picture: Picture) -> None:
        write_picture(self._folder / f"{stem}.png", captioned(picture, self._caption(what)))


def draw_faces(picture: Picture, faces: Sequence[ReadFace]) -> Picture:
    """Draw boxes and answers on a picture, RGB [H, W, 3].

    A small picture is enlarged and a large one reduced, so that words can be read. Where faces
    have heat, the picture with it stands to the right of the plain one, and then its scale.
    """
    side = max(picture.shape[:2])
    factor = min(max(side, _LEAST_SIDE), _MOST_SIDE) / side
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    resized = cv2.resize(picture, None, fx=factor, fy=factor, interpolation=how)
    drawn: Picture = np.asarray(resized, np.uint8)
    boxes = [tuple(round(factor * side) for side in face.box) for face in faces]
    hot = drawn.copy()
    for face, box in zip(faces, boxes, strict=True):
        if face.heat is not None:
            _heat_box(hot, box, face.heat)
    thickness = max(2, round(max(drawn.shape[:2]) / 320))
    # Words after all boxes, since one face may lie on another.
    for x, y, width, height in boxes:
        for panel in (drawn, hot):
            corner = (x + width - 1, y + height - 1)
            cv2.rectangle(panel, (x, y), corner, _BOX_RGB, thickness)
    for face, (x, y, _, _) in zip(faces, boxes, strict=True):
        put_label(drawn, face.answer, x, y, size=9 * thickness, colour=_BOX)
    if all(face.heat is None for face in faces):
        return drawn
    gap = np.full((len(drawn), _GAP, 3), 255, np.uint8)
    return np.hstack([drawn, gap, hot, gap, heat_bar(len(drawn))])


def _heat_box(drawn: Picture, box: Sequence[int], heat: Picture) -> None:
    x, y, width, height = box
    left, top = max(x, 0), max(y, 0)
    right, bottom = min(x + width, drawn.shape[1]), min(y + height, drawn.shape[0])
    if right <= left or bottom <= top:
        return
    fitted = np.asarray(cv2.resize(heat, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)
    inside = drawn[top:bottom, left:right]
    inside[:] = blend_heat(inside, fitted[top - y : bottom - y, left - x : right - x])
