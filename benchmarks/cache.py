"""The cache of a data set: how fast it is built and read, and in how much memory."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from benchmarks.measuring import Result, Watch, median_ratio, ratio_interval, take_turns
from datamodules.faces import LOOSE_MARGIN, detect_face, loose_box
from datamodules.faces import crop as cut_out
from datamodules.images import grey
from datamodules.loaders import CacheDataset, batch_loader, to_float
from datamodules.motion.cache import is_coloured
from datamodules.motion.flow import estimate_flow, resize_flow
from datamodules.motion.pairs import make_pairs
from datamodules.recordings import Recording
from datamodules.samplers import TrainSampler
from datamodules.sets.ferplus import FERPlusDataModule
from datamodules.sets.snap2dfe import SNaP2DFeDataModule
from datamodules.store.cache import Cache, build_cache
from datamodules.store.rows import ArraySpec
from datamodules.store.threads import cores
from datamodules.synthetic import write_ferplus

Crop = Literal["loose", "none"]

_SIZE = 128
_ARRAYS = {
    "flow": ArraySpec((2, _SIZE, _SIZE), "float16"),
    "posed_flow": ArraySpec((2, _SIZE, _SIZE), "float16"),
    "neutral": ArraySpec((3, _SIZE, _SIZE), "uint8"),
    "apex": ArraySpec((3, _SIZE, _SIZE), "uint8"),
}
_ROW_MB = sum(int(np.prod(s.shape)) * np.dtype(s.dtype).itemsize for s in _ARRAYS.values()) / 1e6


def measure_building(
    *, quick: bool = False, root: Path | None = None, crop: Crop = "loose"
) -> Result:
    """Count the flows per second of a cold build, and of a loop of OpenCV calls in one thread.

    The loop reads frames, finds the face of the first, cuts it out, and estimates and resizes
    flows and faces: all that a cache needs of OpenCV, with nothing kept, checked or written.

    Args:
        quick: Whether to take few sequences and build once.
        root: A SNaP-2DFe; by default embedded faces of four subjects.
        crop: loose or none, as of the data module.
    """
    if root is None:
        root = SNaP2DFeDataModule(synthetic_subjects=4).write_embedded(Path(".cache/synthetic"))
    index = SNaP2DFeDataModule().read_index(root)
    colour = is_coloured(index)
    some = list(zip(index.recordings or [], index.frame_counts, strict=True))
    some = some[:: max(1, len(some) // (3 if quick else 60))]
    counted: list[int] = []
    alone, built = take_turns(
        [
            lambda: counted.append(_one_thread(some, crop, colour=colour)),
            lambda: _build(root, crop),
        ],
        turns=1 if quick else 7,
    )
    # One flow a pair and camera.
    flows = 2 * len(make_pairs(index.frame_counts, steps=(1,)).sequence)
    share = flows / counted[0]
    return {
        "what": "flows/s of a cache build / (one thread of OpenCV x cores)",
        "ratio": share * median_ratio([o.wall for o in alone], [b.wall for b in built]) / cores(),
        "bound": "at least 0.95",
        "details": {
            "interval": [
                round(share * end / cores(), 3)
                for end in ratio_interval([o.wall for o in alone], [b.wall for b in built])
            ],
            "build_flows_per_s": [round(flows / one.wall, 1) for one in built],
            "one_thread_flows_per_s": [round(counted[0] / one.wall, 1) for one in alone],
            "processor_time_ratio": share
            * median_ratio([o.processor for o in alone], [b.processor for b in built]),
            "cores": cores(),
        },
    }


def _build(root: Path, crop: Crop) -> None:
    with TemporaryDirectory() as folder:
        data = SNaP2DFeDataModule(root=str(root), cache_dir=folder, size=_SIZE, crop=crop)
        data.prepare_data()


def _one_thread(
    sequences: Iterable[tuple[tuple[Recording, ...], int]], crop: Crop, *, colour: bool
) -> int:
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    flows = sum(
        count_flows(recording, length, crop, colour=colour)
        for recordings, length in sequences
        for recording in recordings
    )
    cv2.setNumThreads(threads)
    return flows


def count_flows(recording: Recording, length: int, crop: Crop, *, colour: bool) -> int:
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


def measure_reading(*, quick: bool = False) -> Result:
    """Count images per second of an epoch of batches, and of decoding the same PNG files.

    Both in one thread. The batches are those that training takes, as float32 in [0, 1]; decoding
    stops at bytes.
    """
    with _faces(quick=quick) as (data, files):
        counted: list[int] = []

        def read() -> None:
            batches = (data.on_after_batch_transfer(b, 0) for b in data.train_dataloader())
            counted.append(sum(len(batch["image"]) for batch in batches))

        def decode() -> None:
            for file in files:
                cv2.imread(str(file), cv2.IMREAD_GRAYSCALE)

        decoding, reading = take_turns([decode, read], turns=1 if quick else 5)
    decoded = [len(files) / one.wall for one in decoding]
    cached = [count / one.wall for count, one in zip(counted, reading, strict=True)]
    return {
        "what": "images/s from the cache / images/s by decoding PNGs",
        "ratio": median_ratio(cached, decoded),
        "bound": "at least 10",
        "details": {
            "interval": ratio_interval(cached, decoded),
            "cache_images_per_s": round(statistics.median(cached)),
            "png_images_per_s": round(statistics.median(decoded)),
            "images": len(files),
        },
    }


def measure_pipeline(*, quick: bool = False) -> Result:
    """Count images per second of an epoch of batches, and of what one writes with torchvision.

    That decodes a PNG an item by Pillow and turns it into a float tensor, in as many worker
    processes as there are cores. Both end at batches of float32 in [0, 1]; ours has no worker.
    """
    with _faces(quick=quick) as (data, files):
        pictures = Pictures(files)
        usual = DataLoader(
            pictures, batch_size=64, shuffle=True, num_workers=cores(), persistent_workers=True
        )

        def read() -> None:
            for batch in data.train_dataloader():
                data.on_after_batch_transfer(batch, 0)

        def decode() -> None:
            for _ in usual:
                pass

        take_turns([decode, read], turns=1)  # starts the workers
        decoding, reading = take_turns([decode, read], turns=1 if quick else 7)
    slow, fast = ([one.wall for one in ones] for ones in (decoding, reading))
    return {
        "what": "images/s of our loader / of Pillow in the workers of a DataLoader",
        "ratio": median_ratio(slow, fast),
        "bound": "none",
        "details": {
            "interval": ratio_interval(slow, fast),
            "images_per_s": round(len(pictures) / statistics.median(fast)),
            "pillow_images_per_s": round(len(pictures) / statistics.median(slow)),
            "workers": cores(),
        },
    }


@contextmanager
def _faces(*, quick: bool) -> Iterator[tuple[FERPlusDataModule, list[Path]]]:
    """Yield a data module of drawn faces and the PNG files of its training faces."""
    with TemporaryDirectory() as folder:
        root = Path(folder) / "ferplus"
        write_ferplus(root, train=64 if quick else 2000, val=16, test=16)
        data = FERPlusDataModule(root=str(root), cache_dir=folder, size=48, batch_size=64)
        data.prepare_data()
        data.setup("fit")
        names = [data.sample_name(int(row)) for row in data.faces("train")[1]]
        yield data, [path for name in names for path in root.rglob(f"FER2013Train/{name}*")]


class Pictures(Dataset[tuple[Tensor, int]]):
    """Faces as torchvision's ImageFolder and ToTensor give them."""

    def __init__(self, paths: list[Path]) -> None:
        self.paths = paths

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        with Image.open(self.paths[index]) as picture:
            pixels = np.array(picture.convert("RGB"))
        return torch.from_numpy(pixels).permute(2, 0, 1).contiguous().float().div(255), index


def measure_memory(*, quick: bool = False) -> Result:
    """Read an epoch of a generated cache in a process of its own, and of one ten times larger.

    What counts is anonymous memory: pages of the mapped files are the system's, which takes them
    back when it needs them.
    """
    small = 10 if quick else 200
    peaks = {}
    with TemporaryDirectory() as folder:
        for rows in (small, 10 * small):
            cache = build_cache(Path(folder), {"rows": rows}, rows, _ARRAYS, _row, label="memory")
            read = subprocess.run(
                [sys.executable, "-m", __name__, str(cache.path)],
                cwd=Path(__file__).parent.parent,
                capture_output=True,
                text=True,
                check=True,
            )
            peaks[rows] = json.loads(read.stdout)
    return {
        "what": "peak memory of an epoch, 10 N samples / N samples",
        "ratio": peaks[10 * small]["peak_mb"] / peaks[small]["peak_mb"],
        "bound": "near 1",
        "details": {
            f"{rows}_samples": {"cache_mb": round(rows * _ROW_MB, 1), **peak}
            for rows, peak in peaks.items()
        },
    }


def _row(row: int) -> dict[str, NDArray[Any]]:
    noise = np.random.default_rng(row)
    return {
        name: noise.integers(0, 9, spec.shape, dtype=np.uint8).astype(spec.dtype)
        for name, spec in _ARRAYS.items()
    }


def _read_epoch(path: Path) -> dict[str, float]:
    """Read every batch of an epoch as training does, and watch this process's memory."""
    watch = Watch()
    start = watch.peak
    with watch:
        cache = Cache(path)
        rows = np.arange(len(cache.valid))
        pairs = CacheDataset(cache, rows, {"label": rows})
        sampler = TrainSampler(len(rows), 4)
        for batch in batch_loader(pairs, workers=0, pin_memory=False, batch_sampler=sampler):
            to_float(batch)
    return {"start_mb": round(start, 1), "peak_mb": round(watch.peak, 1)}


if __name__ == "__main__":
    print(json.dumps(_read_epoch(Path(sys.argv[1]))))
