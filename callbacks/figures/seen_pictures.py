"""The pictures of an input with their faces drawn on, as they pass."""

from __future__ import annotations

from pathlib import Path

from matplotlib.image import imsave

from callbacks.figures.face_drawing import Picture, SeenFace, draw_faces
from callbacks.figures.sequence_pictures import file_name
from datamodules.files import is_video
from datamodules.images import read_image
from datamodules.recordings import open_video
from datamodules.store.replacing import replacing


class SeenPictures:
    """Writes one file for each still picture, and one for each expression read in a film.

    Of stills only the present one is held, of films the best face of each expression, so that the
    memory needed does not grow with the length of a film or the number of pictures. Each picture
    or film is seen by one process as a whole.

    Args:
        folder: Where files go: ``<picture>.png`` (``a.jpg.png`` for ``a.jpg``) and
            ``<film>_<expression>.png``.
        root: Folder that the names of sources are below.
    """

    def __init__(self, folder: Path, *, root: Path) -> None:
        self._folder = folder
        self._root = root
        self._open: tuple[str, list[SeenFace]] | None = None
        self._best: dict[tuple[str, str], tuple[float, int, SeenFace]] = {}

    def wants(self, source: str, name: str, probability: float) -> bool:
        """Tell whether a face would be drawn: on a still always, in a film if it is the surest.

        Args:
            source: Name of the picture or film.
            name: The expression read.
            probability: How surely.

        Returns:
            Whether to add it.
        """
        best = self._best.get((source, name))
        return not _is_film(source) or best is None or probability > best[0]

    def add(
        self, source: str, frame: int, face: SeenFace, *, name: str, probability: float
    ) -> None:
        """Look at one face; those of a still come one after the other.

        Args:
            source: Name of the picture or film.
            frame: Index of the frame of a film.
            face: What to draw.
            name: The expression read.
            probability: How surely.
        """
        if _is_film(source):
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
        films: dict[str, dict[int, list[tuple[str, SeenFace]]]] = {}
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
        self._write(file_name(source).removesuffix(".png"), draw_faces(picture, faces))

    def _draw_film(self, source: str, frames: dict[int, list[tuple[str, SeenFace]]]) -> None:
        last = max(frames)
        # Read from its beginning: films have no exact way to jump to a frame.
        for index, picture in enumerate(open_video(self._root / source).frames(colour=True)):
            for name, face in frames.get(index, []):
                self._write(f"{file_name(source)}_{name}", draw_faces(picture, [face]))
            if index == last:
                return

    def _write(self, stem: str, picture: Picture) -> None:
        with replacing(self._folder / f"{stem}.png") as aside:
            imsave(aside, picture)


def _is_film(source: str) -> bool:
    return is_video(Path(source))
