"""Builds a cache in a process of its own, for tests that kill it or let two of them meet.

python cache_child.py <repository> <cache folder> <log of computed rows> <seconds a row>
"""

import logging
import os
import sys
import time
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

if __name__ == "__main__":
    # The package itself imports Lightning, which takes seconds and which a cache does not need.
    package = types.ModuleType("datamodules")
    package.__path__ = [f"{sys.argv[1]}/datamodules"]
    sys.modules["datamodules"] = package

from datamodules.store.cache import Cache, build_cache
from datamodules.store.rows import ArraySpec

ROWS = 40
ARRAYS = {"image": ArraySpec((3, 16, 16), "uint8"), "number": ArraySpec((), "int64")}


def row_of(number: int) -> Mapping[str, NDArray[Any]]:
    """Make the row that the cache should hold."""
    image = np.random.default_rng(number).integers(0, 256, (3, 16, 16), dtype=np.uint8)
    return {"image": image, "number": np.array(number, np.int64)}


def assert_whole(cache: Cache, without: tuple[int, ...] = ()) -> None:
    rows = [row for row in range(ROWS) if row not in without]
    assert np.flatnonzero(cache.valid).tolist() == rows
    for name in ARRAYS:
        np.testing.assert_array_equal(cache.arrays[name][rows], [row_of(n)[name] for n in rows])


def build(folder: Path, log: Path, pause: float = 0.0) -> Cache:
    """Build the cache, writing down the number of each row that is computed."""

    def compute(number: int) -> Mapping[str, NDArray[Any]]:
        time.sleep(pause)
        file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(file, f"{number}\n".encode())
        os.close(file)
        return row_of(number)

    return build_cache(folder, {"made": "of this"}, ROWS, ARRAYS, compute, workers=2, label="child")


if __name__ == "__main__":
    logging.basicConfig()
    build(Path(sys.argv[2]), Path(sys.argv[3]), float(sys.argv[4]))
