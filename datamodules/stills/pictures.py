"""Faces to predict on: in an image, a video, a stream, or a folder of such things."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from datamodules.errors import BadSample, DatasetError
from datamodules.faces import Box, crop, loose_box
from datamodules.files import Problems, is_image, is_video, name_others, walk
from datamodules.images import check_shape, read_image, resize
from datamodules.inputs.given import Input
from datamodules.inputs.live import LiveStream
from datamodules.inputs.reading import InputBatch, InputOptions
from datamodules.inputs.report import InputReport
from datamodules.inputs.tracks import Tracker, time_of
from datamodules.recordings import Frame, Video, open_video
from datamodules.stills.reader import FACE_MARGIN, FaceCrop

_EXPECTED = (
    "expected an image (.png, .jpg, .webp, .bmp, .tif), a video (.avi, .mp4, .mov, .mkv), the "
    "number of a camera, the address of a stream, or a folder with such files"
)

FACES_PER_FRAME = 1_000
FRAMES_PER_FILE = 1_000_000
"""`sample_id` counts faces in a frame, frames in a file, and files, in steps of these."""

_log = logging.getLogger(__name__)


class Source(NamedTuple):
    """A picture, a film, a stream or frames in memory, and its name in the input."""

    name: str
    content: Input

    @property
    def is_picture(self) -> bool:
        """Whether it is a single picture, which has no time."""
        return isinstance(self.content, Path) and not is_video(self.content)

    def film(self) -> Video | None:
        """Open it as a film that can be read again; None where it is none."""
        if self.is_picture or not isinstance(self.content, Path):
            return None
        return open_video(self.content)


class Face(NamedTuple):
    """A face in a picture: uint8 [size, size] or [size, size, 3], and where it was cut out."""

    image: NDArray[np.uint8]
    sample_id: int
    source: str
    frame: int
    seconds: float
    track: int
    box: Box


def find_inputs(path: Path, problems: Problems | None = None) -> list[Source]:
    """List all images and videos of an input, in natural order, at any depth of a folder.

    Args:
        path: The input.
        problems: Folders that cannot be read are added to it; None to raise them.

    Raises:
        DatasetError: If there is no such input, or it holds neither images nor videos.
    """
    if not path.exists():
        raise DatasetError(f"There is no input {path}; {_EXPECTED}.")
    inside = (folder / name for folder, _, names in walk(path, problems=problems) for name in names)
    files = [file for file in inside if is_image(file) or is_video(file)]
    if path.is_file() and (is_image(path) or is_video(path)):
        files = [path]
    elif others := name_others(path, set(map(os.fspath, files))):
        _log.warning("%s", others)
    if not files:
        raise DatasetError(f"The input {path} has neither images nor videos; {_EXPECTED}.")
    root = path if path.is_dir() else path.parent
    return [Source(file.relative_to(root).as_posix(), file) for file in files]


@dataclass(frozen=True)
class FaceReading:
    """Reads the faces of pictures, films and streams.

    Pictures are decoded as they are needed and forgotten with their batch, so an input of any
    length takes the memory of one batch.

    Args:
        size: Side of the faces, in pixels.
        colour: Whether they are RGB rather than grey.
        crop: detect: every face of a picture; none: each picture is a face.
        margin: Side of the square that is cut out in sides of the detector's box.
    """

    size: int
    colour: bool
    crop: FaceCrop
    margin: float = FACE_MARGIN

    @property
    def finds_faces(self) -> bool:
        """Whether a detector looks for them, or each picture is a face."""
        return self.crop != "none"

    def find(self, given: Input, options: InputOptions, report: InputReport) -> list[Source]:
        """List the pictures, films and streams of an input; see `find_inputs`."""
        if isinstance(given, Path):
            return find_inputs(given, report.problems)
        return [Source(given.name, given)]

    def sample_name(self, sources: Sequence[Source], sample_id: int) -> str:
        """Name a face: its file, the frame of a film from 1, and which face from 1."""
        frames, face = divmod(sample_id, FACES_PER_FRAME)
        number, frame = divmod(frames, FRAMES_PER_FILE)
        moment = "" if sources[number].is_picture else f":{frame + 1}"
        return f"{sources[number].name}{moment}#{face + 1}"

    def stream(
        self,
        sources: Sequence[Source],
        options: InputOptions,
        report: InputReport,
        *,
        rank: int = 0,
        world: int = 1,
    ) -> Iterator[InputBatch]:
        """Yield the faces of sources, a batch at a time; see `batch.FaceInputBatch`.

        A file or frame that cannot be read is left out; the report names it in the end, and those
        without a face. Of `world` processes each takes every `world`-th source from its `rank` on.
        """
        waiting: list[Face] = []
        numbers = range(rank, len(sources), world)
        for done, number in enumerate(numbers):
            source = sources[number]
            tracker = Tracker()
            first = number * FRAMES_PER_FILE
            for frame, part in _frames(source, self.colour, options.every):
                waiting += self._faces(source, frame, first, tracker, options, report)
                report.share = None if part is None else (done + part) / len(numbers)
                live = isinstance(source.content, LiveStream)
                while len(waiting) >= options.batch_size or (live and waiting):
                    report.answers += len(waiting[: options.batch_size])
                    yield _batch(waiting[: options.batch_size])
                    del waiting[: options.batch_size]
        if waiting:
            report.answers += len(waiting)
            yield _batch(waiting)

    def _faces(
        self,
        source: Source,
        frame: Frame,
        first: int,
        tracker: Tracker,
        options: InputOptions,
        report: InputReport,
    ) -> list[Face]:
        name = source.name if source.is_picture else f"{source.name}:{frame.number + 1}"
        picture = frame.picture
        try:
            if isinstance(picture, BadSample):
                raise picture
            check_shape(picture, name)
        except BadSample as bad:
            report.add(bad.path, bad.reason)
            return []
        if not self.finds_faces:
            boxes = [Box(0, 0, picture.shape[1], picture.shape[0])]
        else:
            found = options.detector.faces(picture)[:FACES_PER_FRAME]
            boxes = [loose_box(face, self.margin, picture.shape) for face in found]
        report.count(name, len(boxes))
        tracks = tracker.update(boxes, time_of(frame.number, frame.seconds))
        return [
            Face(
                resize(crop(picture, box), self.size),
                (first + frame.number) * FACES_PER_FRAME + i,
                source.name,
                frame.number,
                frame.seconds,
                track,
                box,
            )
            for i, (box, track) in enumerate(zip(boxes, tracks, strict=True))
        ]


def _frames(source: Source, colour: bool, every: int) -> Iterator[tuple[Frame, float | None]]:
    """Yield the frames of a source, each with the part of it that is gone through by then."""
    content = source.content
    try:
        if source.is_picture:
            assert isinstance(content, Path)  # for mypy
            yield Frame(0, read_image(content, colour=colour)), 1.0
            return
        film = open_video(content) if isinstance(content, Path) else content
        length = 0 if isinstance(film, LiveStream) else len(film)
        for frame in film.frames(colour=colour, every=every):
            yield frame, min((frame.number + 1) / length, 1.0) if length else None
    except BadSample as bad:
        yield Frame(0, bad), 1.0


def _batch(faces: list[Face]) -> InputBatch:
    return {
        "image": np.stack([face.image for face in faces]),
        "sample_id": np.array([face.sample_id for face in faces]),
        "source": [face.source for face in faces],
        "frame": np.array([face.frame for face in faces]),
        "seconds": [face.seconds for face in faces],
        "track": [face.track for face in faces],
        "box": np.array([face.box for face in faces]),
    }
