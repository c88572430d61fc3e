"""Memory of an epoch of reading, of a data set and of one ten times larger."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.report import Result
from datamodules.loaders import CacheDataset, batch_loader, to_float
from datamodules.samplers import TrainSampler
from datamodules.store.cache import Cache, build_cache
from datamodules.store.rows import ArraySpec

_SIZE = 128
_ARRAYS = {
    "flow": ArraySpec((2, _SIZE, _SIZE), "float16"),
    "posed_flow": ArraySpec((2, _SIZE, _SIZE), "float16"),
    "neutral": ArraySpec((3, _SIZE, _SIZE), "uint8"),
    "apex": ArraySpec((3, _SIZE, _SIZE), "uint8"),
}
_ROW_MB = sum(int(np.prod(s.shape)) * np.dtype(s.dtype).itemsize for s in _ARRAYS.values()) / 1e6


def measure(*, quick: bool = False) -> Result:
    """Read an epoch of a generated cache in a process of its own, and of one ten times larger.

    What counts is anonymous memory: pages of the mapped files are the system's, which takes them
    back when it needs them.

    Args:
        quick: Whether to take small caches.

    Returns:
        The ratio of the two peaks, both peaks and the sizes of the caches.
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


def read_epoch(path: Path) -> dict[str, float]:
    """Read every batch of an epoch as training does, and watch this process's memory.

    Args:
        path: Folder of a cache.

    Returns:
        ``start_mb`` before the cache was opened, and ``peak_mb``, of anonymous memory.
    """
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


class Watch:
    """Samples the anonymous memory of this process in a thread and keeps the highest, in MB."""

    def __init__(self) -> None:
        self.peak = _anonymous_mb()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()
        self.peak = max(self.peak, _anonymous_mb())

    def _sample(self) -> None:
        while not self._stop.is_set():
            self.peak = max(self.peak, _anonymous_mb())
            time.sleep(0.002)


def _anonymous_mb() -> float:
    for line in Path("/proc/self/status").read_text("utf-8").splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise RuntimeError("This system does not tell the anonymous memory of a process (RssAnon).")


def _row(row: int) -> dict[str, NDArray[Any]]:
    noise = np.random.default_rng(row)
    return {
        name: noise.integers(0, 9, spec.shape, dtype=np.uint8).astype(spec.dtype)
        for name, spec in _ARRAYS.items()
    }


if __name__ == "__main__":
    print(json.dumps(read_epoch(Path(sys.argv[1]))))
