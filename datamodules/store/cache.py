"""Arrays that are computed once from a data set, kept on disk, and memory-mapped ever after.

A cache lives in `<folder>/<label>-<key>/`, where the key is the hash of what made it: whatever
changes makes another cache, and the folder may be deleted at any time. It is built in a sibling
`.building` under a lock and renamed when whole, so these hold:

- A build that is killed goes on where it was; a row counts as done only with its checksum.
- Of several processes one builds, and the others wait for it.
- A cache with a wrong size or checksum is never used: its damaged rows are computed again. Sizes
  are compared at every opening, checksums of rows where a file has changed since they last were
  (`<label>-<key>.checked` remembers that; without it they are compared again).
- A finished cache needs no more than to be read, so its disk may be read-only.
- A full disk is an error at the start, and nothing is left that looks whole.

Rows are computed by threads, because OpenCV releases the interpreter lock, and threads die with
their process where child processes would go on.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import logging
import os
import shutil
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datamodules.errors import BadSample, BadSamples, DatasetError, OnBadSample
from datamodules.store.lock import Lock, lock
from datamodules.store.replacing import read_json, replacing, unless_read_only, write_json
from datamodules.store.rows import ArraySpec, RowStore
from datamodules.store.threads import for_each

Compute = Callable[[int], Mapping[str, NDArray[Any]]]

_FORMAT = 1
_MANIFEST = "manifest.json"
_BLOCK = 2**20  # bytes that are compared with their checksums at a time

_log = logging.getLogger(__name__)

# What this process has checked already: path and state of the files of a cache.
_checked: set[str] = set()


class Cache:
    """A finished cache in a folder.

    It pickles as its path, so that workers of a loader map the files instead of copying them;
    data sets should hold the cache rather than its arrays.

    Attributes:
        path: Folder of the cache.
        key: Hash of what made it.
        arrays: Read-only memory maps [rows, ...] by their names.
        valid: bool [rows], false for the rows of bad samples, which hold nothing.
        bad: (path, reason) of the bad samples, each once.
    """

    def __init__(self, path: Path) -> None:
        manifest = _read_manifest(path)
        self.path = path
        self.key: str = manifest["key"]
        self.arrays: dict[str, NDArray[Any]] = {
            name: np.load(path / f"{name}.npy", mmap_mode="r") for name in manifest["arrays"]
        }
        self.valid = np.ones(manifest["rows"], np.bool_)
        self.valid[[row for row, _, _ in manifest["bad"]]] = False
        self.bad = list(dict.fromkeys((name, reason) for _, name, reason in manifest["bad"]))

    def __reduce__(self) -> tuple[type[Cache], tuple[Path]]:
        return Cache, (self.path,)

    def beside(self, name: str) -> Path:
        """Return where a file about the cache is kept.

        Not in it: a file that appears there would have its checksums compared again.
        """
        return self.path.with_name(f"{self.path.name}.report") / name

    def read_or_compute(self, name: str, compute: Callable[[], NDArray[Any]]) -> NDArray[Any]:
        """Read an array about the cache, or compute it where it is missing or damaged, and keep it.

        Args:
            name: Name of its file, ending in `.npy`; names what the array depends on beside the
                cache.
            compute: Computes the array.
        """
        file = self.beside(name)
        try:
            return np.asarray(np.load(file))
        except (OSError, ValueError, EOFError):
            found = compute()
        with unless_read_only(), replacing(file) as aside:
            np.save(aside, found)
        return found


def build_cache(
    folder: Path,
    fingerprint: Mapping[str, Any],
    rows: int,
    arrays: Mapping[str, ArraySpec],
    compute: Compute,
    on_bad_sample: OnBadSample = "raise",
    workers: int | None = None,
    label: str = "cache",
    problems: Sequence[tuple[str | Path, str]] = (),
    group: Callable[[int], int] | None = None,
) -> Cache:
    """Open the cache of what the fingerprint describes, after building what is missing of it.

    Args:
        folder: Where caches live.
        fingerprint: All that the rows depend on, of JSON types: files, sizes, parameters, code.
        rows: Number of rows.
        arrays: What the arrays hold, by their names.
        compute: Computes a row of each array, or raises `BadSample`. Threads call it.
        on_bad_sample: raise: name all bad samples in one error, after all rows were tried; skip:
            keep what is good.
        workers: Threads; all cores where None.
        label: Beginning of the cache's name, and name of the progress bar.
        problems: (path, reason) of what was wrong before; they count as bad samples.
        group: Number of what a row is read from, such as a film, where rows share it: they are
            computed one after the other, by one thread.

    Raises:
        BadSamples: If there are bad samples and they may not be skipped, or nothing is good.
        DatasetError: If the folder cannot be written or the disk is full.
        ValueError: If there are no rows.
    """
    if rows < 1:
        raise ValueError(f"The {label} cache needs at least one row, but got {rows}.")
    described = {
        "format": _FORMAT,
        "rows": rows,
        "arrays": {name: [list(spec.shape), spec.dtype] for name, spec in arrays.items()},
        "fingerprint": dict(fingerprint),
    }
    key = hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()
    path = folder / f"{label}-{key[:12]}"
    before = [(str(name), reason) for name, reason in problems]
    builder = _Builder(path, {"key": key, **described}, arrays, workers, label, group)
    try:
        cache = builder.open_or_build(compute, on_bad_sample)
    except BadSamples as error:
        raise BadSamples([*before, *error.bad]) from None
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        needed = sum(rows * np.dtype(t).itemsize * int(np.prod(s)) for s, t in arrays.values())
        raise DatasetError(
            f"The disk is full: the cache {path} needs {needed / 1e9:.2f} GB, and "
            f"{shutil.disk_usage(folder).free / 1e9:.2f} GB are free. Make room, or set cache_dir "
            "to a folder on another disk."
        ) from error
    if (before or cache.bad) and on_bad_sample == "raise":
        raise BadSamples([*before, *cache.bad])
    if cache.bad:
        named = "; ".join(f"{name}: {reason}" for name, reason in cache.bad[:5])
        _log.warning(
            "Skipped %d of %d samples of %s: %s%s",
            rows - int(cache.valid.sum()),
            rows,
            label,
            named,
            "; ..." if len(cache.bad) > 5 else "",
        )
    return cache


@dataclass(frozen=True)
class _Builder:
    """Opens, checks and builds one cache, under its lock."""

    path: Path
    manifest: Mapping[str, Any]
    arrays: Mapping[str, ArraySpec]
    workers: int | None
    label: str
    group: Callable[[int], int] | None

    @property
    def rows(self) -> int:
        """Number of rows."""
        return int(self.manifest["rows"])

    def open_or_build(self, compute: Compute, on_bad_sample: OnBadSample) -> Cache:
        """Open the cache, or build it where no other process does."""
        try:
            with _lock(self.path, shared=True):
                cache = self.open()
        except DatasetError:
            cache = self.open()  # on a disk that cannot be written, nobody else builds it
            if cache is None:
                raise
        if cache is None:
            with _lock(self.path, shared=False):
                # Another process may have been faster.
                cache = self.open() or self.build(compute, on_bad_sample)
        return cache

    def open(self) -> Cache | None:
        """Open the cache if it is there and whole; rows are checked once, unless files change."""
        if not self.path.exists():
            return None
        try:
            cache = Cache(self.path)
            if cache.key != self.manifest["key"]:
                raise ValueError("it belongs to something else")
            state = _state(self.path)
            if state not in _checked and read_json(_stamp(self.path)) != {"files": state}:
                with RowStore(self.path, self.rows, self.arrays, writable=False) as store:
                    damaged = cache.valid & ~self._intact(store, cache.valid)
                if damaged.any():
                    raise ValueError(f"{int(damaged.sum())} rows differ from their checksums")
                _remember(self.path)
        except (OSError, ValueError, KeyError, TypeError) as error:
            _log.warning("The cache %s is damaged and will be repaired: %s.", self.path, error)
            return None
        return cache

    def build(self, compute: Compute, on_bad_sample: OnBadSample) -> Cache:
        """Compute the rows that are missing or damaged, and name the whole a cache."""
        building = self.path.with_name(f"{self.path.name}.building")
        if self.path.exists():  # damaged, but most of its rows may be whole
            shutil.rmtree(building, ignore_errors=True)
            self.path.rename(building)
        building.mkdir(exist_ok=True)
        try:
            store = RowStore(building, self.rows, self.arrays, writable=True)
        except OSError:
            # What was reserved would keep the disk full.
            shutil.rmtree(building, ignore_errors=True)
            raise
        bad: dict[int, BadSample] = {}
        with store:
            missing = ~self._intact(store, store.written())

            def work(row: int) -> None:
                try:
                    store.write(row, compute(row))
                except BadSample as error:
                    bad[row] = error

            rows = np.flatnonzero(missing).tolist()
            for_each(
                rows if self.group is None else sorted(rows, key=self.group),
                work,
                f"{self.label}: computing",
                group=self.group,
                total=self.rows,
                workers=self.workers,
            )
            found = [(row, bad[row].path, bad[row].reason) for row in sorted(bad)]
            if len(bad) == self.rows or (bad and on_bad_sample == "raise"):
                raise BadSamples([(path, reason) for _, path, reason in found])
            store.sync()
        manifest = {**self.manifest, "bad": found}
        write_json(building / _MANIFEST, {**manifest, "check": _check_value(manifest)})
        _sync_folder(building)
        building.rename(self.path)
        _sync_folder(self.path.parent)
        _remember(self.path)
        return Cache(self.path)

    def _intact(self, store: RowStore, rows: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Compare rows with their checksums."""
        intact = np.zeros(self.rows, np.bool_)
        block = max(1, _BLOCK // store.row_bytes)

        def work(number: int) -> None:
            part = slice(number * block, min((number + 1) * block, self.rows))
            intact[part] = store.intact(part.start, part.stop - part.start)

        for_each(
            np.unique(np.flatnonzero(rows) // block).tolist(),
            work,
            f"{self.label}: checking",
            workers=self.workers,
            delay=2.0,  # most caches are checked in a blink
            unit="block",
        )
        return intact & rows


def _lock(path: Path, *, shared: bool) -> Lock:
    """Take the lock of a cache, after waiting for who reads or builds it."""
    file = path.with_name(f"{path.name}.lock")
    warning = "Another process is at the cache %s; waiting for it."
    try:
        return lock(file, shared=shared, on_wait=lambda: _log.warning(warning, path))
    except OSError as error:
        raise DatasetError(
            f"The cache folder {path.parent} cannot be written ({error.strerror}); set cache_dir "
            "to a folder that can."
        ) from error


def _state(path: Path) -> str:
    """Describe the files of a cache such that a change of any shows."""
    entries = sorted(os.scandir(path), key=lambda entry: entry.name)
    states = ((entry.name, entry.stat()) for entry in entries)
    looks = ((n, s.st_ino, s.st_size, s.st_mtime_ns, s.st_ctime_ns) for n, s in states)
    return repr((str(path.resolve()), *looks))


def _stamp(path: Path) -> Path:
    return path.with_name(f"{path.name}.checked")


def _remember(path: Path) -> None:
    """Remember that all rows were as their checksums say, here and in a file."""
    state = _state(path)
    _checked.add(state)
    with contextlib.suppress(OSError):  # it only saves work next time
        write_json(_stamp(path), {"files": state})


def _check_value(manifest: Mapping[str, Any]) -> int:
    return zlib.crc32(json.dumps(manifest, sort_keys=True).encode())


def _read_manifest(path: Path) -> dict[str, Any]:
    manifest = read_json(path / _MANIFEST)
    if manifest is None:
        raise ValueError("it has no whole manifest")
    if manifest.pop("check") != _check_value(manifest):
        raise ValueError("the manifest differs from its checksum")
    return manifest


def _sync_folder(path: Path) -> None:
    """Make the names in a folder survive a loss of power."""
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
