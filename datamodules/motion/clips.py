"""Recordings to predict on: a video, a folder of frames, or a folder of such things."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import IterableDataset

from datamodules.errors import BadSample, DatasetError
from datamodules.faces import Box, crop
from datamodules.files import is_image, is_video, walk
from datamodules.images import check_shape
from datamodules.input_report import InputReport
from datamodules.motion.pairs import Extraction
from datamodules.recordings import Recording, frame_folder, open_video

_EXPECTED = (
    "expected a video (.avi, .mp4, .mov, .mkv), a folder of frames, or a folder of such videos or "
    "folders"
)

IDS_PER_CLIP = 1_000_000
"""`sample_id` is the number of the clip times this, plus the index of the frame."""


class Clip(NamedTuple):
    """A recording in which a face was found, and what to cut out of each frame."""

    name: str  # below the input
    recording: Recording
    box: Box


def find_clips(path: Path, extraction: Extraction, report: InputReport) -> list[Clip]:
    """Find all recordings of an input, and the face in the first frame of each.

    Unusable recordings are left out, for the report to name.

    Raises:
        DatasetError: If there is no such input, or it holds neither frames nor videos.
        DatasetError: If no recording is usable.
    """
    if not path.exists():
        raise DatasetError(f"There is no input {path}; {_EXPECTED}.")
    if is_image(path):  # OpenCV would read on with its neighbours
        raise DatasetError(f"The input {path} is one image; {_EXPECTED}.")
    clips: list[Clip] = []
    for found in _find(path, report):
        try:
            recording = open_video(found) if found.is_file() else frame_folder(found)
            frames = list(islice(_good_frames(recording, extraction), 2))
            if len(frames) < 2:
                raise BadSample(found, f"has {len(frames)} usable frame(s), but a flow needs two")
            first, face = frames[0]
            box = extraction.box(face, recording.frame_name(first))
        except BadSample as error:
            report.add(error.path, error.reason)
            continue
        inside = found.relative_to(path).as_posix()
        clips.append(Clip(path.resolve().name if inside == "." else inside, recording, box))
    if not clips and report.problems:
        report.close("raise")
    if not clips:
        raise DatasetError(f"The input {path} has neither frames nor videos; {_EXPECTED}.")
    return clips


def _find(path: Path, report: InputReport) -> Iterator[Path]:
    """Walk an input and yield each video and each folder that holds frames."""
    if path.is_file():
        yield path
    for folder, below, names in walk(path, problems=report.problems):
        if any(is_image(folder / name) for name in names):
            yield folder
            below.clear()
        else:
            yield from (folder / name for name in names if is_video(folder / name))


class ClipStream(IterableDataset[dict[str, Any]]):
    """Pairs (first frame, frame t) of recordings, a batch at a time; see `batch.SequenceBatch`.

    Frames are decoded as they are needed and forgotten with their batch, so a film of any length
    takes the memory of one batch, which never mixes recordings. Of `world` processes each takes
    every `world`-th recording from its `rank` on. A frame that cannot be read is left out, for the
    report to name.
    """

    def __init__(
        self,
        clips: list[Clip],
        extraction: Extraction,
        batch_size: int,
        report: InputReport,
        *,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self._clips = clips
        self._extraction = extraction
        self._batch_size = batch_size
        self._report = report
        self._numbers = range(rank, len(clips), world)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for number in self._numbers:
            clip = self._clips[number]
            _, first = next(_good_frames(clip.recording, self._extraction))
            neutral = torch.from_numpy(self._extraction.image(crop(first, clip.box)))[None]
            pairs = self._pairs(clip)
            while batch := list(islice(pairs, self._batch_size)):
                self._report.answers += len(batch)
                frame = torch.tensor([index for index, _ in batch])
                yield {
                    "posed_flow": torch.from_numpy(np.stack([flow for _, flow in batch])),
                    "neutral": neutral.repeat(len(batch), 1, 1, 1),
                    "frame": frame,
                    "sequence": [clip.name] * len(batch),
                    "sample_id": frame + number * IDS_PER_CLIP,
                }

    def _pairs(self, clip: Clip) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Yield the index of each later frame with the flow that leads there."""
        extraction, report = self._extraction, self._report
        frames = _good_frames(clip.recording, extraction, report)
        _, first = next(frames)
        neutral = crop(first, clip.box)
        for index, frame in frames:
            name = clip.recording.frame_name(index)
            try:
                face = extraction.cut(frame, first, clip.box, name)
                flow = extraction.estimate(neutral, face, name)
            except BadSample as bad:
                report.add(bad.path, bad.reason)
            else:
                yield index, flow


def _good_frames(
    recording: Recording, extraction: Extraction, report: InputReport | None = None
) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Yield the frames that can be read, with their indices; the report names the others."""
    for index, frame in recording.frames(colour=extraction.colour):
        try:
            if isinstance(frame, BadSample):
                raise frame
            check_shape(frame, recording.frame_name(index))
        except BadSample as bad:
            if report is not None:
                report.add(bad.path, bad.reason)
        else:
            yield index, frame


def clip_sample_name(clips: list[Clip], sample_id: int) -> str:
    """Name a pair: its recording, and its second frame from 1."""
    number, frame = divmod(sample_id, IDS_PER_CLIP)
    return f"{clips[number].name}:{frame + 1}"
