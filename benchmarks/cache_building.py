"""Building the cache of a data set against one thread of OpenCV times the cores."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import cv2
import numpy as np

from benchmarks.report import Clock, Result, Seconds, cores
from datamodules.faces import LOOSE_MARGIN, detect_face, loose_box
from datamodules.faces import crop as cut_out
from datamodules.motion.cache import is_coloured
from datamodules.motion.flow import estimate_flow, resize_flow
from datamodules.motion.pairs import grey, make_pairs
from datamodules.recordings import Recording
from datamodules.sets.snap2dfe import SNaP2DFeDataModule

Crop = Literal["loose", "none"]

_SIZE = 128


def measure(*, quick: bool = False, root: Path | None = None, crop: Crop = "loose") -> Result:
    """Count the flows per second of a cold build, and of a loop of OpenCV calls in one thread.

    The loop reads frames, finds the face of the first, cuts it out, and estimates and resizes
    flows and faces: all that a cache needs of OpenCV, with nothing kept, checked or written.

    Args:
        quick: Whether to take few sequences and build once.
        root: A SNaP-2DFe; by default embedded faces of four subjects.
        crop: loose or none, as of the data module.

    Returns:
        The ratio, the median over repeats, and both speeds.
    """
    if root is None:
        root = SNaP2DFeDataModule(synthetic_subjects=4).write_embedded(Path(".cache/synthetic"))
    index = SNaP2DFeDataModule().read_index(root)
    lengths = [] if index.lengths is None else index.lengths.tolist()
    pairs, colour = make_pairs(lengths, steps=(1,)), is_coloured(index)
    some = list(zip(index.recordings or [], lengths, strict=True))
    some = some[:: max(1, len(some) // (3 if quick else 60))]
    built, alone = [], []
    # In turns, so that what else the machine does meets both.
    for _ in range(1 if quick else 3):
        alone.append(_one_thread(some, crop, colour=colour))
        # One flow a pair and camera.
        built.append(_per_flow(_build(root, crop), 2 * len(pairs.sequence)))
    turns = list(zip(built, alone, strict=True))
    return {
        "what": "flows/s of a cache build / (one thread of OpenCV x cores)",
        "ratio": statistics.median(one.wall / ours.wall / cores() for ours, one in turns),
        "bound": "at least 0.9",
        "details": {
            "build_flows_per_s": [round(1 / ours.wall, 1) for ours in built],
            "one_thread_flows_per_s": [round(1 / one.wall, 1) for one in alone],
            "processor_time_ratio": statistics.median(
                one.processor / ours.processor for ours, one in turns
            ),
            "cores": cores(),
        },
    }


def _per_flow(seconds: Seconds, flows: int) -> Seconds:
    return Seconds(seconds.wall / flows, seconds.processor / flows)


def _build(root: Path, crop: Crop) -> Seconds:
    with TemporaryDirectory() as folder:
        data = SNaP2DFeDataModule(root=str(root), cache_dir=folder, size=_SIZE, crop=crop)
        clock = Clock()
        data.prepare_data()
        return clock.read()


def _one_thread(
    sequences: Iterable[tuple[tuple[Recording, ...], int]], crop: Crop, *, colour: bool
) -> Seconds:
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    clock = Clock()
    flows = sum(
        _flows(recording, length, crop, colour)
        for recordings, length in sequences
        for recording in recordings
    )
    seconds = clock.read()
    cv2.setNumThreads(threads)
    return _per_flow(seconds, flows)


def _flows(recording: Recording, length: int, crop: Crop, colour: bool) -> int:
    """Do what a recording asks of OpenCV; return the number of flows."""
    mode = cv2.IMREAD_COLOR if colour else cv2.IMREAD_GRAYSCALE
    frames = [
        np.asarray(cv2.imread(str(file), mode), np.uint8) for file in recording.files()[:length]
    ]
    if crop == "loose":
        face = detect_face(grey(frames[0]))
        if face is None:
            raise ValueError(f"No face was found in {recording.frame_name(0)}.")
        box = loose_box(face, LOOSE_MARGIN, frames[0].shape)
        frames = [cut_out(frame, box) for frame in frames]
    steps = {(0, length - 1), *((first, first + 1) for first in range(length - 1))}
    for first, second in steps:
        flow = estimate_flow(grey(frames[first]), grey(frames[second]))
        resize_flow(flow, _SIZE)
        for frame in (first, second):
            cv2.resize(frames[frame], (_SIZE, _SIZE), interpolation=cv2.INTER_AREA)
    return len(steps)
