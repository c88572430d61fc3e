"""Faces of a data set, decoded once: cut out, resized, and kept as bytes."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from datamodules import faces, images
from datamodules.errors import BadSample, OnBadSample
from datamodules.faces import Box, crop, detect_face, loose_box
from datamodules.images import any_coloured, grey, read_image, resize
from datamodules.index import Index
from datamodules.recordings import open_video
from datamodules.store.cache import Cache, build_cache
from datamodules.store.digests import code_digest, files_digest
from datamodules.store.rows import ArraySpec

FaceCrop = Literal["none", "detect"]

FACE_MARGIN = 1.2
"""Side of the square around a detected face in sides of the detector's box.

The box ends at the brows and the chin; 1.2 shows both with their surroundings, which is about
what the aligned images of the public data sets show.
"""

_LOOKED_AT = 128  # images, evenly over the data set, that tell whether it is coloured


@dataclass(frozen=True)
class FaceReader:
    """Computes the rows of the cache; many threads may call it at once.

    Args:
        index: The data set.
        size: Side of the cached images.
        colour: Whether they are RGB rather than grey; an index of pixels has grey images only.
        crop: none: take the whole image; detect: cut out the largest face, or, where none is
            found, what lies where it is in the first frame of the same recording. The boxes of the
            index, where it has some, come before both.
    """

    index: Index
    size: int
    colour: bool
    crop: FaceCrop

    def specs(self) -> dict[str, ArraySpec]:
        """Describe the array: `image`, uint8 [size, size] grey or [size, size, 3] RGB."""
        shape = (self.size, self.size)
        return {"image": ArraySpec((*shape, 3) if self.colour else shape, "uint8")}

    def row(self, row: int) -> Mapping[str, NDArray[Any]]:
        """Read an image: the array of `specs`.

        Raises:
            BadSample: If the file is unusable, or no face is found in it.
        """
        image = _read(self.index, row, colour=self.colour)
        box = self._box(row, image)
        return {"image": resize(image if box is None else crop(image, box), self.size)}

    def _box(self, row: int, image: NDArray[np.uint8]) -> Box | None:
        name = self.index.names[row] if self.index.files is None else self.index.files[row]
        if self.index.boxes is not None:
            box = Box(*self.index.boxes[row].tolist())
            if min(box.width, box.height) < 1:
                raise BadSample(name, f"its face box {tuple(box)} is empty")
            if not _meets(box, image.shape):
                raise BadSample(name, f"its face box {tuple(box)} lies outside of the image")
            return box
        if self.crop == "none":
            return None
        found = detect_face(grey(image))
        if found is None and self.index.first_frames is not None:
            in_film = self.index.frames is not None and self.index.frames[row] >= 0
            first = _picture(self.index.first_frames[row], 0 if in_film else -1, colour=False)
            found = detect_face(first) if first.shape[:2] == image.shape[:2] else None
        if found is None:
            raise BadSample(name, "no face was found in this image")
        return loose_box(found, FACE_MARGIN, image.shape)


def open_face_cache(
    index: Index,
    root: Path,
    folder: Path,
    *,
    name: str,
    size: int,
    colour: bool,
    crop: FaceCrop,
    on_bad_sample: OnBadSample,
) -> Cache:
    """Open the cache `image` with a row for each image of a data set; build what is missing.

    It depends neither on labels nor on parts, so that all label rules, class sets and folds of a
    data set share one. See `FaceReader` for its arguments.

    Raises:
        BadSamples: All that is wrong with index and images, where it may not be skipped.
    """
    reader = FaceReader(index, size, colour, crop)
    boxes = None if index.boxes is None else index.boxes.astype("<i8").tobytes()
    fingerprint = {
        "images": _images_digest(index, root),
        "names": index.names_hash(),
        "boxes": None if boxes is None else hashlib.sha256(boxes).hexdigest(),
        "crop": crop,
        "code": code_digest(faces, images, sys.modules[__name__]),
    }
    if index.frames is not None:
        fingerprint["frames"] = index.frames.tolist()
    return build_cache(
        folder,
        fingerprint,
        len(index),
        reader.specs(),
        reader.row,
        on_bad_sample,
        label=f"{name.lower()}-faces",
        problems=index.problems,
    )


def is_coloured(index: Index) -> bool:
    """Look at some images, evenly over the data set, and tell whether any is coloured."""
    if index.files is None:
        return False
    rows = np.linspace(0, len(index), min(len(index), _LOOKED_AT), endpoint=False)
    return any_coloured(lambda row: _read(index, row, colour=True), rows.astype(int).tolist())


def _read(index: Index, row: int, *, colour: bool) -> NDArray[np.uint8]:
    if index.pixels is not None:
        return np.asarray(index.pixels[row], np.uint8)
    frame = -1 if index.frames is None else int(index.frames[row])
    return _picture((index.files or [])[row], frame, colour=colour)


def _picture(file: Path, frame: int, *, colour: bool) -> NDArray[np.uint8]:
    """Read an image file, or a frame of a film where one from 0 is named."""
    if frame < 0:
        return read_image(file, colour=colour)
    return open_video(file).reader(colour=colour)(frame)


def _meets(box: Box, shape: tuple[int, ...]) -> bool:
    """Tell whether a box has a part of the image in it."""
    right, bottom = box.left + box.width, box.top + box.height
    return right > 0 and bottom > 0 and box.left < shape[1] and box.top < shape[0]


def _images_digest(index: Index, root: Path) -> str:
    if index.pixels is not None:
        return hashlib.sha256(np.ascontiguousarray(index.pixels).data).hexdigest()
    return files_digest([*(index.files or ()), *(index.first_frames or ())], root)
