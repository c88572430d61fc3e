"""How time and memory grow with the rows of a data set: a million faces, 100,000 sequences.

The rows are made: no image file is drawn or read. Each size has a process of its own.
"""

from __future__ import annotations

import gc
import json
import math
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.measuring import Clock, Result, Watch
from datamodules.folds.assignment import assign
from datamodules.folds.leak_guard import LeakGuard
from datamodules.folds.parts import Parts
from datamodules.index import Index
from datamodules.labels import Expression
from datamodules.loaders import batch_loader
from datamodules.motion.pairs import make_pairs
from datamodules.recordings import FrameFolder, Recording
from datamodules.samplers import TrainSampler
from datamodules.stills.duplicates import open_duplicates
from datamodules.store.cache import Cache, build_cache
from datamodules.store.digests import files_digest
from datamodules.store.rows import ArraySpec

_SIDE = 16  # of a face in pixels: what is measured here grows with rows, not with pixels
_FRAMES = 20  # of a sequence
_ROOT = Path("/no/such/data/set")


def make_faces(rows: int) -> Index:
    """Make the index of so many faces, a hundred of each person."""
    return Index(
        names=[f"train/face_{row:08d}" for row in range(rows)],
        expressions=(np.arange(rows) % len(Expression)).astype(np.int8),
        files=[_ROOT / f"part_{row // 10_000:03d}" / f"face_{row:08d}.png" for row in range(rows)],
        subjects=[f"S{row // 100:05d}" for row in range(rows)],
        votes=np.zeros((rows, len(Expression)), np.float32),
    )


def make_sequences(rows: int) -> Index:
    """Make the index of so many sequences of 20 frames, ten of each person."""
    films: list[tuple[Recording, ...]] = [
        (
            FrameFolder(
                _ROOT / f"S{row // 10:05d}" / f"{row % 10:03d}",
                tuple(f"S{row // 10:05d}_{row % 10:03d}_{frame:08d}.png" for frame in range(20)),
            ),
        )
        for row in range(rows)
    ]
    return Index(
        names=[f"S{row // 10:05d}/{row % 10:03d}" for row in range(rows)],
        expressions=(np.arange(rows) % len(Expression)).astype(np.int8),
        recordings=films,
        lengths=np.full(rows, _FRAMES, np.int64),
        subjects=[f"S{row // 10:05d}" for row in range(rows)],
    )


_MAKERS: dict[str, Callable[[int], Index]] = {"faces": make_faces, "sequences": make_sequences}


def measure(*, quick: bool = False) -> Result:
    """Compare the seconds a row at the largest size with those at a tenth of it.

    Returns:
        The result; its details hold seconds of each stage, bytes a row of the index, peak memory,
        and the exponents by which they grow from the first to the last size.
    """
    sizes: dict[str, tuple[int, ...]]
    sizes = {"faces": (100_000, 300_000, 1_000_000), "sequences": (10_000, 30_000, 100_000)}
    if quick:
        sizes = dict.fromkeys(sizes, (500, 1000))
    details: dict[str, Any] = {}
    for kind, counts in sizes.items():
        measured = [_in_a_process(kind, rows) for rows in counts]
        ratio = math.log(counts[-1] / counts[0])
        details[kind] = {
            "rows": counts,
            **{name: [round(one[name], 3) for one in measured] for name in measured[0]},
            "growth_exponents": {
                name: round(math.log(max(measured[-1][name], 1e-3) / max(first, 1e-3)) / ratio, 2)
                for name, first in measured[0].items()
            },
        }
    faces = details["faces"]
    seconds = [sum(faces[name][i] for name in faces if name.endswith("_s")) for i in (0, -1)]
    return {
        "what": "processor seconds a row at the largest size / at the smallest (faces, all stages)",
        "ratio": seconds[1] / seconds[0] * faces["rows"][0] / faces["rows"][-1],
        "bound": "about 1; index at most 200 bytes a face, a warm cache opens in 2 s",
        "details": details,
    }


def _in_a_process(kind: str, rows: int) -> dict[str, float]:
    """Measure one size in a fresh process, whose memory holds nothing else."""
    with TemporaryDirectory() as folder:
        cold = [sys.executable, "-m", "benchmarks.scale", "build", kind, str(rows), folder]
        built = json.loads(subprocess.check_output(cold, text=True).splitlines()[-1])
        warm = [sys.executable, "-m", "benchmarks.scale", "open", kind, str(rows), folder]
        opened = json.loads(subprocess.check_output(warm, text=True).splitlines()[-1])
    return {**built, **opened}


def build(kind: str, rows: int, folder: Path) -> dict[str, float]:
    """Measure what is done once for a data set: its cache, its duplicates and fingerprints."""
    index = _MAKERS[kind](rows)
    found: dict[str, float] = {}
    clock = Clock()
    cache = _open_cache(index, rows, folder)
    found["build_cache_s"] = clock.read().processor
    if kind == "faces":
        clock = Clock()
        open_duplicates(cache)
        found["find_duplicates_s"] = clock.read().processor
    clock = Clock()
    LeakGuard(_parts(index, cache), "made")
    found["fingerprint_contents_s"] = clock.read().processor
    return found


def open_warm(kind: str, rows: int, folder: Path) -> dict[str, float]:
    """Measure what each run does: index, folds, cache, first batch and an epoch over the map."""
    found: dict[str, float] = {}
    tracemalloc.start()
    index = _MAKERS[kind](rows)
    _ = index.person_of
    gc.collect()
    found["index_bytes_a_row"] = tracemalloc.get_traced_memory()[0] / rows
    tracemalloc.stop()
    watch = Watch()
    before = watch.peak

    def stage(name: str, action: Callable[[], Any]) -> Any:
        clock = Clock()
        result = action()
        found[f"{name}_s"] = clock.read().processor
        return result

    with watch:
        index = stage("index", lambda: _MAKERS[kind](rows))
        stage("fingerprint_files", lambda: files_digest(index.all_files(), _ROOT))
        stage("manifest", index.manifest_hash)
        cache = stage("open_cache", lambda: _open_cache(index, rows, folder))
        parts = stage("folds", lambda: _parts(index, cache))
        guard = stage("leak_guard", lambda: LeakGuard(parts, "made"))
        stage("trained_on", guard.trained_on)
        if kind == "faces":
            stage("open_duplicates", lambda: open_duplicates(cache).twins(parts.rows["train"]))
        else:
            stage("pairs", lambda: make_pairs([_FRAMES] * rows, (1,)))
        samples = parts.dataset("train", {})
        sampler = TrainSampler(len(samples), 256)
        loader = batch_loader(samples, workers=0, pin_memory=False, batch_sampler=sampler)
        stage("first_batch", lambda: next(iter(loader)))
    found["peak_bytes_a_row"] = 1e6 * (watch.peak - before) / rows
    gc.collect()
    over_map = Watch()
    before = over_map.peak
    with over_map:
        stage("epoch", lambda: sum(1 for _ in loader))
    found["epoch_grows_by_mb"] = over_map.peak - before
    return found


def _parts(index: Index, cache: Cache) -> Parts:
    classes = index.classes("basic7")
    assignment = assign(index, classes, fold=0, folds=10, fold_mode="stratified", seed=0)
    return Parts(index, assignment, cache, expressions="basic7")


def _open_cache(index: Index, rows: int, folder: Path) -> Cache:
    noise = np.random.default_rng(0).integers(0, 256, rows + _SIDE**2, np.uint8)

    def compute(row: int) -> Mapping[str, NDArray[Any]]:
        return {"image": noise[row * 37 % rows :][: _SIDE**2].reshape(_SIDE, _SIDE)}

    spec = {"image": ArraySpec((_SIDE, _SIDE), "uint8")}
    return build_cache(folder, {"names": index.names_hash()}, rows, spec, compute)


if __name__ == "__main__":
    does, what, count, where = sys.argv[1:]
    measured = {"build": build, "open": open_warm}[does](what, int(count), Path(where))
    print(json.dumps(measured))
