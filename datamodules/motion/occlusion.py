"""What hides a face, static or moving, drawn on the frames before the flow: boxes and things."""

from __future__ import annotations

import math
import sys
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from datamodules.errors import BadSample, UserError
from datamodules.faces import Box
from datamodules.index import Index
from datamodules.motion import occluders
from datamodules.motion.extraction import Extraction, Frame, Landmarks
from datamodules.motion.occluders import THINGS, inpaint, mean_landmarks, place_thing
from datamodules.motion.pairs import PairReader, Pairs
from datamodules.store.digests import files_digest
from datamodules.store.rows import ArraySpec
from datamodules.synthetic import occluders as synthetic_occluders

_Edges = tuple[float, float, float, float]


class _Region(NamedTuple):
    """Where a region lies: left, top, right and bottom, by either of two means."""

    points: tuple[int, ...]  # landmarks it encloses
    margins: _Edges  # what is added around them, in distances between the eyes
    proportions: _Edges  # its edges in widths and heights of the detected face, from its corner


def _span(*ranges: tuple[int, int]) -> tuple[int, ...]:
    return tuple(index for first, last in ranges for index in range(first, last + 1))


# The proportions are where the landmarks with their margins fall in the boxes of `detect_face`:
# medians over frontal faces, whose eyes are 0.38 widths of the box apart.
_REGIONS = {
    # Brows and eyes: they move together, and the paper's box covers both.
    "eyes": _Region(_span((17, 26), (36, 47)), (0.15, 0.2, 0.15, 0.2), (0.10, 0.19, 0.89, 0.53)),
    # More below than above: the lower lip falls, the nose stays.
    "mouth": _Region(_span((48, 67)), (0.25, 0.2, 0.25, 0.35), (0.23, 0.67, 0.75, 0.97)),
    # Without the root of the nose, which lies between the eyes.
    "nose": _Region(_span((28, 35)), (0.15, 0.0, 0.15, 0.1), (0.35, 0.48, 0.64, 0.70)),
    # From the jaw to the bridge of the nose, and over the brows as far again as down to the eyes.
    "left_half": _Region(
        _span((0, 8), (17, 21), (27, 30)), (0.05, 0.5, 0.0, 0.05), (0.04, 0.08, 0.50, 1.05)
    ),
    "right_half": _Region(
        _span((8, 16), (22, 26), (27, 30)), (0.0, 0.5, 0.05, 0.05), (0.50, 0.08, 0.94, 1.05)
    ),
}

BOXES = (*_REGIONS, "random", "moving")
"""Where a black box can lie, by name; left and right are those of the picture."""
INPAINTED = "_inpainted"
REGIONS = (*BOXES, *THINGS)
"""What can be occluded, or by what; a name that ends in `INPAINTED` fills it from its border."""


def occlusion_boxes(
    region: str,
    frames: int,
    *,
    landmarks: NDArray[np.floating[Any]] | None = None,
    face: Box | None = None,
    share: float = 0.25,
    seed: int | Sequence[int] = 0,
) -> list[Box]:
    """Place the box that occludes a region on every frame of a recording.

    Landmarks and face are those of the first frame, the neutral one. A box around the apex would
    grow with an opening mouth and tell the expression by its size.

    Args:
        region: One of `BOXES`. All are static, that is, the same box on every frame, except
            ``moving``, which crosses the face from side to side like a passing hand: on the first
            frame it touches the one side, on the last the other.
        frames: Number of frames.
        landmarks: [68, 2] in pixels, x and y in the order of 300-W; where given, the box is placed
            from them.
        face: Box of `faces.detect_face`; from its proportions otherwise.
        share: Of the area of the face that ``random`` and ``moving`` cover, in (0, 1].
        seed: Of the sample, as one or several numbers: place and shape of ``random``, height and
            direction of ``moving``.

    Returns:
        One box a frame; it may stick out of the picture.

    Raises:
        UserError: If there is no such region, or nothing to place it from, or the landmarks are
            not 68 finite points, or the share is no share.

    Reference:
        SSIM-VAE, 3.1.1 and Figure 4.

    Deviation:
        The paper gives neither the size of its boxes nor what they are placed from.
    """
    if region not in BOXES:
        raise UserError(f"The region must be one of {', '.join(BOXES)}, but is {region!r}.")
    if not 0 < share <= 1:
        raise UserError(f"The occluded share of a face lies above 0 and up to 1, got {share}.")
    if landmarks is not None:
        if landmarks.shape != (68, 2) or not np.isfinite(landmarks).all():
            raise UserError(
                "A box is placed from 68 finite landmarks [68, 2], "
                f"got an array {landmarks.shape} with "
                f"{int(np.size(landmarks) - np.isfinite(landmarks).sum())} values not finite."
            )
        edges = {name: _around(landmarks, where) for name, where in _REGIONS.items()}
    elif face is not None:
        edges = {name: _within(face, where.proportions) for name, where in _REGIONS.items()}
    else:
        raise UserError(f"Occluding the {region} needs landmarks or the box of the face.")
    if region in _REGIONS:
        return [_box(*edges[region])] * frames
    left, top, _, bottom = edges["left_half"]
    whole = (left, top, edges["right_half"][2], bottom)
    if region == "random":
        return [_random(whole, share, np.random.default_rng(seed))] * frames
    return _moving(whole, share, frames, np.random.default_rng(seed))


def occlude(frame: NDArray[np.uint8], box: Box) -> NDArray[np.uint8]:
    """Draw a black box on a copy of a frame [H, W] or [H, W, C].

    What sticks out of the frame is cut off.
    """
    occluded = np.array(frame)
    rows = slice(max(box.top, 0), max(box.top + box.height, 0))
    columns = slice(max(box.left, 0), max(box.left + box.width, 0))
    occluded[rows, columns] = 0
    return occluded


class OccludedPairReader(PairReader):
    """Computes flows of whole faces and of the same faces behind black boxes or things.

    These lie on the frames before the flow is estimated, as an object before the camera would.
    Where they lie and how they look is a pure function of sequence and region.

    Args:
        regions: R names from `REGIONS`, each with or without `INPAINTED`.
        share: Of the area of the face that ``random`` and ``moving`` cover, in (0, 1].
        landmarks: File of 68 landmarks of the first frame of each sequence, where there is one.
        root: Folder below which these files lie.
    """

    modules = (sys.modules[__name__], occluders, synthetic_occluders)

    def __init__(
        self,
        index: Index,
        pairs: Pairs,
        extraction: Extraction,
        *,
        regions: Sequence[str],
        share: float,
        landmarks: Sequence[Path | None],
        root: Path,
    ) -> None:
        super().__init__(index, pairs, extraction)
        self._names = list(index.names)
        self._lengths = pairs.second[pairs.is_neutral_apex] + 1
        self._regions = tuple(regions)
        self._share = share
        self._landmarks = landmarks
        self._root = root

    def row(self, row: int) -> Mapping[str, NDArray[Any]]:
        """Compute the flows of a pair: the arrays of `specs`.

        Raises:
            BadSample: If a frame or its landmarks cannot be used.
        """
        first, second = self._faces(row, camera=0)
        shown = self._occlude(row, first, second)
        return {
            "flow": self._flow(row, 0, first, second),
            "occluded_flow": np.stack([self._flow(row, 0, *pair) for pair in shown]),
            "occluded_face": np.stack([self._extraction.image(after) for _, after in shown]),
        }

    def specs(self) -> dict[str, ArraySpec]:
        """Describe the arrays: float16 flows [2, size, size] and [R, 2, size, size], uint8 faces.

        Faces are the second frames [R, C, size, size].
        """
        size, regions = self._extraction.size, len(self._regions)
        channels = 3 if self._extraction.colour else 1
        return {
            "flow": ArraySpec((2, size, size), "float16"),
            "occluded_flow": ArraySpec((regions, 2, size, size), "float16"),
            "occluded_face": ArraySpec((regions, channels, size, size), "uint8"),
        }

    def parameters(self) -> dict[str, Any]:
        """Return what the boxes depend on: regions, share, landmarks, names of the sequences."""
        files = [path for path in self._landmarks if path is not None]
        return {
            "regions": list(self._regions),
            "share": self._share,
            "landmarks": files_digest(files, self._root),
            "names": self._names,
        }

    def _occlude(self, row: int, first: Frame, second: Frame) -> list[tuple[Frame, Frame]]:
        """Hide each region on both frames, which are the cut-out face."""
        sequence = int(self._pairs.sequence[row])
        crops = self._crops(row, camera=0)
        landmarks, face = self.landmarks(sequence), None
        if landmarks is None:
            face = self._extraction.face(crops.neutral, crops.recording.frame_name(0))
        frames = int(self._lengths[sequence])
        numbers = int(self._pairs.first[row]), int(self._pairs.second[row])
        found = []
        for region in self._regions:
            name = region.removesuffix(INPAINTED)
            seed = zlib.crc32(f"{self._names[sequence]} {name}".encode())
            if name in THINGS:
                points = mean_landmarks(face) if landmarks is None else landmarks  # type: ignore[arg-type]
                points = points - (crops.box.left, crops.box.top)
                before, after = (
                    place_thing(frame, name, points, progress=number / (frames - 1), seed=seed)
                    for frame, number in zip((first, second), numbers, strict=True)
                )
            else:
                boxes = occlusion_boxes(
                    name, frames, landmarks=landmarks, face=face, share=self._share, seed=seed
                )
                before, after = (
                    occlude(frame, _shift(boxes[number], crops.box))
                    for frame, number in zip((first, second), numbers, strict=True)
                )
            if region != name:
                before, after = inpaint(before, first), inpaint(after, second)
            found.append((before, after))
        return found

    def landmarks(self, sequence: int) -> Landmarks | None:
        """Read the landmarks of the first frame of a sequence, where there are any."""
        path = self._landmarks[sequence]
        return None if path is None else read_landmarks(path)


def read_landmarks(path: Path) -> Landmarks:
    """Read a file of landmarks as CK+ has them, one point `x y` a line: [68, 2] in pixels.

    Raises:
        BadSample: If it does not hold 68 finite points.
    """
    try:
        numbers = np.array(path.read_text().split(), np.float64)
    except (OSError, ValueError):
        numbers = np.empty(0)
    if numbers.size != 136 or not np.isfinite(numbers).all():
        raise BadSample(path, "holds no 68 landmarks")
    return numbers.reshape(68, 2)


def _around(landmarks: NDArray[np.floating[Any]], where: _Region) -> _Edges:
    eyes = landmarks[42:48].mean(axis=0) - landmarks[36:42].mean(axis=0)
    distance = float(np.hypot(*eyes))
    points = landmarks[list(where.points)]
    left, top, right, bottom = (distance * margin for margin in where.margins)
    (x_min, y_min), (x_max, y_max) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
    return x_min - left, y_min - top, x_max + right, y_max + bottom


def _within(face: Box, proportions: _Edges) -> _Edges:
    left, top, right, bottom = proportions
    return (
        face.left + left * face.width,
        face.top + top * face.height,
        face.left + right * face.width,
        face.top + bottom * face.height,
    )


def _box(left: float, top: float, right: float, bottom: float) -> Box:
    """Round outwards: a pixel that is partly occluded is occluded."""
    x, y = math.floor(left), math.floor(top)
    return Box(x, y, math.ceil(right) - x, math.ceil(bottom) - y)


def _random(whole: _Edges, share: float, rng: np.random.Generator) -> Box:
    left, top, right, bottom = whole
    # Up to twice as wide as high, in sides of the face, or the other way, if that fits.
    limit = min(math.log(2), math.log(1 / share))
    aspect = math.exp(rng.uniform(-limit, limit))
    width = (right - left) * math.sqrt(share * aspect)
    height = (bottom - top) * math.sqrt(share / aspect)
    x, y = rng.uniform(left, right - width), rng.uniform(top, bottom - height)
    return _box(x, y, x + width, y + height)


def _moving(whole: _Edges, share: float, frames: int, rng: np.random.Generator) -> list[Box]:
    left, top, right, bottom = whole
    width, height = (right - left) * math.sqrt(share), (bottom - top) * math.sqrt(share)
    y = rng.uniform(top, bottom - height)
    path = np.linspace(left, right - width, frames)
    if rng.random() < 0.5:
        path = path[::-1]
    # Rounded as a whole: a box that changed its size on the way would look like motion.
    size = (math.ceil(width), math.ceil(height))
    return [Box(math.floor(x), math.floor(y), *size) for x in path.tolist()]


def _shift(box: Box, crop: Box) -> Box:
    return Box(box.left - crop.left, box.top - crop.top, box.width, box.height)
