"""Rows of a cache with the flows of one pair of frames under several occlusions."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Mapping
from collections.abc import Sequence as Items
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datamodules.errors import BadSample
from datamodules.faces import Box
from datamodules.index import Index
from datamodules.motion import occlusion
from datamodules.motion.occlusion import occlude, occlusion_boxes
from datamodules.motion.pairs import CropReader, Extraction, Landmarks, PairReader, Pairs
from datamodules.store.fingerprint import files_digest
from datamodules.store.rows import ArraySpec


class OccludedPairReader(PairReader):
    """Computes flows of whole faces and of the same faces behind black boxes.

    The boxes lie on the frames before the flow is estimated, as an object before the camera would.
    Those of ``random`` and ``moving`` are a pure function of sequence and region.

    Args:
        index: The sequences.
        pairs: The table of pairs.
        extraction: How a pair becomes arrays.
        regions: R names from `occlusion.REGIONS`.
        share: Of the area of the face that ``random`` and ``moving`` cover, in (0, 1].
        landmarks: File of 68 landmarks of the first frame of each sequence, where there is one.
        root: Folder below which these files lie.
    """

    modules = (occlusion, sys.modules[__name__])

    def __init__(
        self,
        index: Index,
        pairs: Pairs,
        extraction: Extraction,
        *,
        regions: Items[str],
        share: float,
        landmarks: Items[Path | None],
        root: Path,
    ) -> None:
        super().__init__(index, pairs, extraction)
        self._names = index.names
        self._lengths = pairs.second[pairs.is_neutral_apex] + 1
        self._regions = tuple(regions)
        self._share = share
        self._landmarks = landmarks
        self._root = root

    def row(self, row: int) -> Mapping[str, NDArray[Any]]:
        """Compute the flows of a pair.

        Args:
            row: Its number.

        Returns:
            The arrays of `specs`.

        Raises:
            BadSample: If a frame or its landmarks cannot be used.
        """
        first, second = self._faces(row, camera=0)
        flows = [
            self._flow(row, 0, occlude(first, before), occlude(second, after))
            for before, after in self._boxes_in_crop(row)
        ]
        return {"flow": self._flow(row, 0, first, second), "occluded_flow": np.stack(flows)}

    def specs(self) -> dict[str, ArraySpec]:
        """Describe the arrays: flows [2, size, size] and [R, 2, size, size], float16."""
        size = self._extraction.size
        return {
            "flow": ArraySpec((2, size, size), "float16"),
            "occluded_flow": ArraySpec((len(self._regions), 2, size, size), "float16"),
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

    def _boxes_in_crop(self, row: int) -> list[tuple[Box, Box]]:
        """Place the box of each region on both frames, in pixels of the cut-out face."""
        sequence = int(self._pairs.sequence[row])
        crops = self._crops(row, camera=0)
        placed_from = self._place(sequence, crops)
        first, second = int(self._pairs.first[row]), int(self._pairs.second[row])
        found = []
        for region in self._regions:
            boxes = occlusion_boxes(
                region,
                int(self._lengths[sequence]),
                share=self._share,
                seed=zlib.crc32(f"{self._names[sequence]} {region}".encode()),
                **placed_from,
            )
            found.append((_shift(boxes[first], crops.box), _shift(boxes[second], crops.box)))
        return found

    def landmarks(self, sequence: int) -> Landmarks | None:
        """Read the landmarks of the first frame of a sequence, where there are any."""
        path = self._landmarks[sequence]
        return None if path is None else read_landmarks(path)

    def _place(self, sequence: int, crops: CropReader) -> dict[str, Any]:
        landmarks = self.landmarks(sequence)
        if landmarks is not None:
            return {"landmarks": landmarks}
        return {"face": self._extraction.face(crops.neutral, crops.recording.frame_name(0))}


def read_landmarks(path: Path) -> Landmarks:
    """Read a file of landmarks as CK+ has them, one point `x y` a line.

    Args:
        path: The file.

    Returns:
        [68, 2] in pixels of the frame.

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


def _shift(box: Box, crop: Box) -> Box:
    return Box(box.left - crop.left, box.top - crop.top, box.width, box.height)
