"""Faces to predict on: in an image, a video, or a folder with such things at any depth."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import IterableDataset

from datamodules.errors import BadSample, DatasetError
from datamodules.faces import Box, crop, detect_faces, loose_box
from datamodules.files import Problems, is_image, is_video, walk
from datamodules.images import check_shape, grey, read_image, resize
from datamodules.input_report import InputReport
from datamodules.recordings import Frame, open_video
from datamodules.stills.reader import FACE_MARGIN, FaceCrop
from datamodules.unread import name_others

_EXPECTED = (
    "expected an image (.png, .jpg, .webp, .bmp, .tif), a video (.avi, .mp4, .mov, .mkv), or a "
    "folder with such files"
)

FACES_PER_FRAME = 1_000
FRAMES_PER_FILE = 1_000_000
"""`sample_id` counts faces in a frame, frames in a file, and files, in steps of these."""

_log = logging.getLogger(__name__)


class Face(NamedTuple):
    """A face in a picture: uint8 [size, size] or [size, size, 3], and where it was cut out."""

    image: NDArray[np.uint8]
    sample_id: int
    source: str
    frame: int
    box: Box


def find_inputs(path: Path, problems: Problems | None = None) -> list[Path]:
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
    return files


def input_name(files: list[Path], root: Path, sample_id: int) -> str:
    """Name a face: its file below the root, the frame of a video from 1, and which face from 1."""
    frames, face = divmod(sample_id, FACES_PER_FRAME)
    number, frame = divmod(frames, FRAMES_PER_FILE)
    file = files[number]
    moment = f":{frame + 1}" if is_video(file) else ""
    return f"{file.relative_to(root).as_posix()}{moment}#{face + 1}"


class FaceStream(IterableDataset[dict[str, Any]]):
    """Faces of pictures and videos, a batch at a time; see `batch.FaceInputBatch`.

    Pictures are decoded as they are needed and forgotten with their batch, so an input of any
    length takes the memory of one batch. A file or frame that cannot be read is left out; the
    report names it in the end, and those without a face. Of `world` processes each takes every
    `world`-th file from its `rank` on.

    Args:
        files: Images and videos.
        root: Folder from which they are named.
        size: Side of the faces, in pixels.
        colour: Whether they are RGB rather than grey.
        crop: detect: every face of a picture; none: each picture is a face.
        batch_size: Faces a batch.
        report: Where it counts and names what it leaves out.
    """

    def __init__(
        self,
        files: list[Path],
        *,
        root: Path,
        size: int,
        colour: bool,
        crop: FaceCrop,
        batch_size: int,
        report: InputReport,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self._files = files
        self._root = root
        self._size = size
        self._colour = colour
        self._crop = crop
        self._batch_size = batch_size
        self._report = report
        self._numbers = range(rank, len(files), world)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        faces = self._faces()
        while batch := list(islice(faces, self._batch_size)):
            self._report.answers += len(batch)
            yield _batch(batch)

    def _faces(self) -> Iterator[Face]:
        report = self._report
        for number in self._numbers:
            file = self._files[number]
            name = file.relative_to(self._root).as_posix()
            for frame, picture in self._frames(file):
                try:
                    if isinstance(picture, BadSample):
                        raise picture
                    check_shape(picture, file)
                    boxes = self._boxes(picture)
                except BadSample as bad:
                    report.add(bad.path, bad.reason)
                    continue
                first = (number * FRAMES_PER_FILE + frame) * FACES_PER_FRAME
                report.pictures += 1
                if not boxes:
                    report.without_face.append(f"{name}:{frame + 1}" if is_video(file) else name)
                for i, box in enumerate(boxes):
                    face = resize(crop(picture, box), self._size)
                    yield Face(face, first + i, name, frame, box)

    def _frames(self, file: Path) -> Iterator[Frame]:
        try:
            if is_video(file):
                yield from open_video(file).frames(colour=self._colour)
            else:
                yield 0, read_image(file, colour=self._colour)
        except BadSample as bad:
            yield 0, bad

    def _boxes(self, picture: NDArray[np.uint8]) -> list[Box]:
        if self._crop == "none":
            return [Box(0, 0, picture.shape[1], picture.shape[0])]
        faces = detect_faces(grey(picture))[:FACES_PER_FRAME]
        return [loose_box(face, FACE_MARGIN, picture.shape) for face in faces]


def _batch(faces: list[Face]) -> dict[str, Any]:
    return {
        "image": torch.from_numpy(np.stack([face.image for face in faces])),
        "sample_id": torch.tensor([face.sample_id for face in faces]),
        "source": [face.source for face in faces],
        "frame": torch.tensor([face.frame for face in faces]),
        "box": torch.tensor([face.box for face in faces]),
    }
