"""Pairs of frames, and the arrays that one pair gives: flows, and the faces between them."""

from __future__ import annotations

import dataclasses
import hashlib
import threading
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from datamodules.faces import Box, crop
from datamodules.images import grey
from datamodules.index import Index
from datamodules.motion.extraction import Extraction, Frame, Landmarks
from datamodules.motion.posing import PoseRange, draw_poses
from datamodules.motion.registration import register, register_by_features
from datamodules.recordings import Recording
from datamodules.store.rows import ArraySpec


class Pairs(NamedTuple):
    """A table of pairs of frames; a row's number is its `sample_id`.

    The neutral-apex pairs come first, one a sequence and in their order, so that the number of
    one depends neither on the strategies nor on the steps.

    Attributes:
        sequence: int64 [N], index of the sequence.
        first: int64 [N], index of the frame at which the flow starts.
        second: int64 [N], index of the frame at which it ends.
        is_neutral_apex: bool [N].
    """

    sequence: NDArray[np.int64]
    first: NDArray[np.int64]
    second: NDArray[np.int64]
    is_neutral_apex: NDArray[np.bool_]


def make_pairs(lengths: Sequence[int], steps: Sequence[int]) -> Pairs:
    """List the pairs of all sequences.

    Args:
        lengths: Frames of each sequence, at least 2.
        steps: Distances of the frame-to-frame pairs; none gives neutral-apex pairs only. A
            distance that spans a whole sequence gives no second copy of its neutral-apex pair.

    Returns:
        The table.

    Reference:
        eMotion-GAN, IV.B: the neutral-apex and the frame-to-frame strategy.

    Deviation:
        The paper takes consecutive frames, the authors' code steps 1 to 10: here a parameter.
    """
    apex = [(sequence, 0, length - 1) for sequence, length in enumerate(lengths)]
    between = [
        (sequence, first, first + step)
        for sequence, length in enumerate(lengths)
        for first in range(length - 1)
        for step in sorted(set(steps))
        if first + step < length and step < length - 1
    ]
    table = np.array(apex + between, np.int64).reshape(-1, 3)
    sequence, first, second = table.T
    return Pairs(sequence, first, second, np.arange(len(table)) < len(apex))


class CropReader:
    """Reads the faces of one recording, each frame once as long as pairs come in order.

    Args:
        box: What to cut out; found in the first frame where None.
        landmarks: [68, 2] of the first frame, for where no face is detected there.
    """

    def __init__(
        self,
        recording: Recording,
        extraction: Extraction,
        box: Box | None,
        landmarks: Landmarks | None = None,
    ) -> None:
        self.recording = recording
        self._read = recording.reader(colour=extraction.colour)
        self._faces: dict[int, Frame] = {}
        self._extraction = extraction
        self.neutral = self._read(0)
        self.box = box or extraction.box(self.neutral, recording.frame_name(0), landmarks)
        self._faces[0] = crop(self.neutral, self.box)

    def pair(self, first: int, second: int) -> tuple[Frame, Frame]:
        """Return the faces of two frames.

        Raises:
            BadSample: If a frame cannot be read, or is of another size than the first.
        """
        for index in [index for index in self._faces if index < first]:
            del self._faces[index]  # pairs are sorted: nothing before comes again
        return self._face(first), self._face(second)

    def _face(self, index: int) -> Frame:
        if index not in self._faces:
            name = self.recording.frame_name(index)
            frame = self._read(index)
            self._faces[index] = self._extraction.cut(frame, self.neutral, self.box, name)
        return self._faces[index]


class PairReader:
    """Computes the rows of a cache; many threads may call it at once.

    A subclass names in `modules` what else it computes its rows with than all readers do.
    """

    modules: tuple[ModuleType, ...] = ()

    def __init__(self, index: Index, pairs: Pairs, extraction: Extraction) -> None:
        self._recordings = index.recordings or []
        self._pairs = pairs
        self._extraction = extraction
        self._local = threading.local()
        # Rows of a long recording may go to several threads: the box is looked for once.
        self._boxes: dict[tuple[int, int], Box] = {}

    def __len__(self) -> int:
        return len(self._pairs.sequence)

    def sequence(self, row: int) -> int:
        """Return the index of the sequence that a row is of, whose frames its rows share."""
        return int(self._pairs.sequence[row])

    def fingerprint(self) -> dict[str, Any]:
        """Return what the rows of all readers depend on beside the files, of JSON types."""
        return {
            "pairs": hashlib.sha256(np.stack(self._pairs).tobytes()).hexdigest(),
            "extraction": dataclasses.asdict(self._extraction),
        }

    def row(self, row: int) -> Mapping[str, NDArray[Any]]:
        """Compute flows and faces of a pair: the arrays of `specs`.

        Raises:
            BadSample: If a frame cannot be used.
        """
        first, second = self._faces(row, camera=0)
        arrays: dict[str, NDArray[Any]] = {
            "flow": self._flow(row, 0, first, second),
            "neutral": self._extraction.image(first),
            "apex": self._extraction.image(second),
        }
        if len(self._of_row(row)) > 1:
            arrays["posed_flow"] = self._flow(row, 1, *self._faces(row, camera=1))
        return arrays

    def specs(self) -> dict[str, ArraySpec]:
        """Describe the arrays: flows [2, size, size] float16, faces [C, size, size] uint8."""
        size = self._extraction.size
        flow = ArraySpec((2, size, size), "float16")
        face = ArraySpec((3 if self._extraction.colour else 1, size, size), "uint8")
        specs = {"flow": flow, "neutral": face, "apex": face}
        if len(self._recordings[0]) > 1:
            specs["posed_flow"] = flow
        return specs

    def parameters(self) -> dict[str, Any]:
        """Return what the rows of a subclass depend on beyond those of all readers."""
        return {}

    def landmarks(self, sequence: int) -> Landmarks | None:
        """Return the landmarks [68, 2] of the first frame of a sequence; None for none."""
        return None

    def registered(self, row: int) -> dict[str, NDArray[Any]]:
        """Estimate the posed flow after registrations: the arrays of `registered_specs`."""
        first, second = self._faces(row, camera=1)
        return self._register(row, 1, first, second)

    def registered_after_turn(
        self, row: int, seed: int, limits: PoseRange
    ) -> dict[str, NDArray[Any]]:
        """Estimate the flow after the registration of frames of which the second was turned.

        The turn is the one that `draw_poses` gives the sample of this number.
        """
        first, second = self._faces(row, camera=0)
        motion = draw_poses(torch.tensor([row]), seed=seed, epoch=0, limits=limits)[0].numpy()
        return self._register(row, 0, first, turn(second, motion, self._extraction.size))

    def registered_specs(self) -> dict[str, ArraySpec]:
        """Describe the arrays: flows, posed second frame, whether the registration converged."""
        size = self._extraction.size
        return {
            "registered_flow": ArraySpec((2, size, size), "float16"),
            "feature_registered_flow": ArraySpec((2, size, size), "float16"),
            "posed_apex": ArraySpec((3 if self._extraction.colour else 1, size, size), "uint8"),
            "converged": ArraySpec((), "bool"),
        }

    def _register(self, row: int, camera: int, first: Frame, second: Frame) -> dict[str, Any]:
        template, moved = grey(first), grey(second)
        found = register(template, moved)
        matched = register_by_features(template, moved)
        return {
            "registered_flow": self._flow(row, camera, template, found),
            "feature_registered_flow": self._flow(row, camera, template, matched),
            "posed_apex": self._extraction.image(second),
            "converged": np.array(found is not moved),
        }

    def _of_row(self, row: int) -> tuple[Recording, ...]:
        return self._recordings[self.sequence(row)]

    def _faces(self, row: int, camera: int) -> tuple[Frame, Frame]:
        first, second = int(self._pairs.first[row]), int(self._pairs.second[row])
        return self._crops(row, camera).pair(first, second)

    def _crops(self, row: int, camera: int) -> CropReader:
        recording = self._of_row(row)[camera]
        readers: dict[int, CropReader] = self._local.__dict__.setdefault("readers", {})
        if camera not in readers or readers[camera].recording is not recording:
            key = (self.sequence(row), camera)
            readers[camera] = CropReader(
                recording, self._extraction, self._boxes.get(key), self.landmarks(key[0])
            )
            self._boxes[key] = readers[camera].box
        return readers[camera]

    def _flow(self, row: int, camera: int, first: Frame, second: Frame) -> NDArray[np.float16]:
        recording = self._of_row(row)[camera]
        name = recording.frame_name(int(self._pairs.second[row]))
        # Torch converts in a tenth of NumPy's time.
        flow = torch.from_numpy(self._extraction.estimate(first, second, name))
        return flow.half().numpy()


def turn(image: Frame, motion: NDArray[np.float32], size: int) -> Frame:
    """Apply an in-plane motion to an image, its border repeated where the image was left.

    Args:
        image: [H, W] grey or [H, W, 3].
        motion: [2, 3] about the centre, in pixels of a grid that spans the image.
        size: Side of that grid.
    """
    height, width = image.shape[:2]
    scale = np.array([width / size, height / size])
    linear = motion[:, :2] * scale[:, None] / scale
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    offset = centre + motion[:, 2] * scale - linear @ centre
    affine = np.column_stack([linear, offset])
    turned = cv2.warpAffine(image, affine, (width, height), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(turned, np.uint8)
