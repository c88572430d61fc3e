"""Recordings to predict on: a video, a folder of frames, a stream, or a folder of such things."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from datamodules.errors import BadSample, DatasetError
from datamodules.faces import LOOSE_MARGIN, Box, crop, loose_box
from datamodules.files import is_image, is_video, walk
from datamodules.images import check_shape, read_image, resize_to
from datamodules.inputs.given import Input
from datamodules.inputs.live import LiveStream
from datamodules.inputs.reading import InputBatch, InputOptions
from datamodules.inputs.report import InputReport
from datamodules.motion.extraction import Extraction
from datamodules.recordings import Frame, FrameArrays, FrameFolder, Video, frame_folder, open_video

_EXPECTED = (
    "expected a video (.avi, .mp4, .mov, .mkv), a folder of frames, the number of a camera, the "
    "address of a stream, or a folder of such videos or folders"
)

IDS_PER_CLIP = 1_000_000
"""`sample_id` is the number of the clip times this, plus the index of the frame."""


Film = FrameFolder | Video | FrameArrays | LiveStream
"""Anything with frames."""


class Clip(NamedTuple):
    """A recording in which a face was found, and what to cut out of each frame.

    The box of a live stream, None, is found when it is opened.
    """

    name: str  # below the input
    recording: Film
    length: int  # frames; 0 for a stream
    box: Box | None

    def film(self) -> FrameFolder | Video | None:
        """Return what can be read again; None where nothing can."""
        return self.recording if isinstance(self.recording, FrameFolder | Video) else None


class _Reference(NamedTuple):
    """Where flows start.

    Attributes:
        number: Of the frame; -1 for a picture of its own.
        face: The neutral face, cut out.
        frame: A frame of the recording, for the size of all.
        box: What is cut out of all frames.
    """

    number: int
    face: NDArray[np.uint8]
    frame: NDArray[np.uint8]
    box: Box


class _Pair(NamedTuple):
    frame: Frame
    face: NDArray[np.uint8]
    flow: NDArray[np.float32]
    reference: _Reference


@dataclass(frozen=True)
class MotionReading:
    """Reads flows from the neutral frame of recordings to each other frame.

    Frames are decoded as they are needed and forgotten with their batch, so a film of any length
    takes the memory of one batch, which never mixes recordings.
    """

    extraction: Extraction

    @property
    def colour(self) -> bool:
        """Whether faces are RGB rather than grey."""
        return self.extraction.colour

    @property
    def finds_faces(self) -> bool:
        """Whether a detector looks for them, or each frame is a face."""
        return self.extraction.crop != "none"

    def find(self, given: Input, options: InputOptions, report: InputReport) -> list[Clip]:
        """Find all recordings of an input, and the face in the neutral frame of each.

        Unusable recordings are left out, for the report to name.

        Raises:
            DatasetError: If there is no such input, it holds neither frames nor videos, no
                recording is usable, or the picture of the neutral face shows none.
        """
        self._neutral_face(options)
        if isinstance(given, LiveStream):
            return [Clip(given.name, given, 0, None)]
        if not isinstance(given, Path):
            box = self._box(given, options)
            return [Clip(given.name, given, len(given), box)]
        if not given.exists():
            raise DatasetError(f"There is no input {given}; {_EXPECTED}.")
        if is_image(given):  # OpenCV would read on with its neighbours
            raise DatasetError(f"The input {given} is one image; {_EXPECTED}.")
        clips: list[Clip] = []
        for found in _find(given, report):
            try:
                recording = open_video(found) if found.is_file() else frame_folder(found)
                box = self._box(recording, options, found)
            except BadSample as error:
                report.add(error.path, error.reason)
                continue
            inside = found.relative_to(given).as_posix()
            name = given.resolve().name if inside == "." else inside
            clips.append(Clip(name, recording, len(recording), box))
        if not clips and report.problems:
            report.close("raise")
        if not clips:
            raise DatasetError(f"The input {given} has neither frames nor videos; {_EXPECTED}.")
        return clips

    def sample_name(self, sources: Sequence[Clip], sample_id: int) -> str:
        """Name a pair: its recording, and its second frame from 1."""
        number, frame = divmod(sample_id, IDS_PER_CLIP)
        return f"{sources[number].name}:{frame + 1}"

    def stream(
        self,
        sources: Sequence[Clip],
        options: InputOptions,
        report: InputReport,
        *,
        rank: int = 0,
        world: int = 1,
    ) -> Iterator[InputBatch]:
        """Yield pairs (neutral frame, frame t) of clips by batches, see `batch.SequenceBatch`.

        A frame that cannot be read is left out, for the report to name. Of `world` processes each
        takes every `world`-th recording from its `rank` on.
        """
        numbers = range(rank, len(sources), world)
        for done, number in enumerate(numbers):
            clip = sources[number]
            pairs = self._pairs(clip, options, report)
            while batch := list(islice(pairs, options.batch_size if clip.length else 1)):
                report.answers += len(batch)
                if clip.length:
                    part = min((batch[-1].frame.number + 1) / clip.length, 1.0)
                    report.share = (done + part) / len(numbers)
                reference = batch[0].reference
                frame = np.array([pair.frame.number for pair in batch])
                yield {
                    "posed_flow": np.stack([pair.flow for pair in batch]),
                    "neutral": np.stack([self.extraction.image(reference.face)] * len(batch)),
                    "apex": np.stack([self.extraction.image(pair.face) for pair in batch]),
                    "frame": frame,
                    "seconds": [pair.frame.seconds for pair in batch],
                    "track": [1] * len(batch),  # one person a recording
                    "box": np.array([reference.box] * len(batch)),
                    "sequence": [clip.name] * len(batch),
                    "sample_id": frame + number * IDS_PER_CLIP,
                }

    def _pairs(self, clip: Clip, options: InputOptions, report: InputReport) -> Iterator[_Pair]:
        """Yield each frame but the neutral one, with the flow that leads there."""
        reference = None
        if clip.box is not None:
            first = self._neutral_frame(clip.recording, options, clip.name)
            reference = self._reference(first, clip.box, options)
        for frame in self._good_frames(clip.recording, options.every, report):
            report.pictures += 1
            name = clip.recording.frame_name(frame.number)
            picture = frame.picture
            assert not isinstance(picture, BadSample)  # for mypy
            if reference is None:
                # Of a stream the first frame with a face, since nobody sits still before it.
                try:
                    box = self.extraction.box(picture, name, detector=options.detector)
                except BadSample:
                    continue
                reference = self._reference(frame, box, options)
            if frame.number == reference.number:
                continue
            try:
                face = self.extraction.cut(picture, reference.frame, reference.box, name)
                flow = self.extraction.estimate(reference.face, face, name)
            except BadSample as bad:
                report.add(bad.path, bad.reason)
            else:
                yield _Pair(frame, face, flow, reference)

    def _box(self, recording: Film, options: InputOptions, path: Path | str = "images") -> Box:
        """Find what to cut out of a recording, of which at least one flow can be estimated."""
        frames = list(islice(self._good_frames(recording, options.every), 2))
        if len(frames) < 2:
            raise BadSample(path, f"has {len(frames)} usable frame(s), but a flow needs two")
        first = self._neutral_frame(recording, options, path)
        assert not isinstance(first.picture, BadSample)  # for mypy
        name = recording.frame_name(first.number)
        return self.extraction.box(first.picture, name, detector=options.detector)

    def _neutral_frame(self, recording: Film, options: InputOptions, path: Path | str) -> Frame:
        """Read the frame that is said to be neutral, else the first that can be read."""
        least = options.neutral if isinstance(options.neutral, int) else 0
        frames = self._good_frames(recording)
        found = next((frame for frame in frames if frame.number >= least), None)
        if found is None:
            raise BadSample(path, f"has no frame {least} to be the neutral one")
        return found

    def _reference(self, first: Frame, box: Box, options: InputOptions) -> _Reference:
        picture = first.picture
        assert not isinstance(picture, BadSample)  # for mypy
        face = self._neutral_face(options)
        if face is None:
            return _Reference(first.number, crop(picture, box), picture, box)
        return _Reference(-1, resize_to(face, box.width, box.height), picture, box)

    def _neutral_face(self, options: InputOptions) -> NDArray[np.uint8] | None:
        """Cut the face out of the picture that is said to show it neutral; None for none.

        Raises:
            DatasetError: If it cannot be read, or shows no face.
        """
        if not isinstance(options.neutral, Path):
            return None
        picture = read_image(options.neutral, colour=self.colour)
        if not self.finds_faces:
            return picture
        face = options.detector.largest(picture)
        if face is None:
            raise DatasetError(
                f"data.neutral {options.neutral} shows no face that {options.detector.name} finds: "
                "give another picture, or the number of a frame."
            )
        return crop(picture, loose_box(face, LOOSE_MARGIN, picture.shape))

    def _good_frames(
        self, recording: Film, every: int = 1, report: InputReport | None = None
    ) -> Iterator[Frame]:
        """Yield the frames that can be read; the report names the others."""
        for frame in recording.frames(colour=self.colour, every=every):
            try:
                if isinstance(frame.picture, BadSample):
                    raise frame.picture
                check_shape(frame.picture, recording.frame_name(frame.number))
            except BadSample as bad:
                if report is not None:
                    report.add(bad.path, bad.reason)
            else:
                yield frame


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
