"""Work on many rows by threads, with a progress bar."""

from __future__ import annotations

import itertools
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import cv2
import numpy as np
from tqdm import tqdm  # type: ignore[import-untyped]

# Of a group: a long film is shared between threads.
_MOST_AT_A_TIME = 64


def cores() -> int:
    """Count the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1  # macOS


@contextmanager
def _one_opencv_thread() -> Iterator[None]:
    """Keep OpenCV from splitting an image between threads that are busy with other images."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(threads)


def _keep_freed_memory() -> None:
    """Have glibc keep freed blocks for the next row instead of giving them back each time.

    A flow takes dozens of blocks of megabytes. Getting each anew from the kernel costs 12 % of
    the time, more so in several threads. glibc raises its limits to what it sees freed, up to
    32 MiB; other allocators are not affected.
    """
    block = np.empty(31 << 20, np.uint8)
    del block


def for_each(
    rows: Sequence[int],
    work: Callable[[int], None],
    title: str,
    *,
    group: Callable[[int], int] | None = None,
    total: int | None = None,
    workers: int | None = None,
    delay: float = 0.0,
    unit: str = "row",
) -> None:
    """Do the work on each row.

    Each thread takes the next row, or rows of a group, when it is done with one, so that neither
    rows nor results pile up. An exception in one of them, or Ctrl-C, stops all after the row they
    are at.

    Args:
        rows: The rows that are left.
        work: Works on one row. Threads call it; OpenCV is kept to one thread meanwhile.
        title: What the progress bar says.
        group: Tells what a row shares with others, such as the film that both are read from: rows
            of one group that follow each other go to one thread, up to 64 at a time.
        total: Number of rows of the whole, with those done before; None where these are all.
        workers: Number of threads; all cores where None.
        delay: Seconds that it must take before there is a bar.
        unit: What the bar counts.
    """
    if not rows:
        return
    total, workers = total or len(rows), workers or cores()
    _keep_freed_memory()
    pending = _batches(rows, group)
    lock = threading.Lock()
    stop = threading.Event()
    # A log file is no place for a bar that moves ten times a second.
    interval = 0.1 if sys.stderr.isatty() else 30.0
    bar = tqdm(
        total=total,
        initial=total - len(rows),
        desc=title,
        unit=unit,
        delay=delay,
        mininterval=interval,
        maxinterval=max(10.0, interval),
    )

    def loop() -> None:
        while not stop.is_set():
            with lock:
                batch = next(pending, None)
            if batch is None:
                return
            for row in batch:
                if stop.is_set():
                    return
                try:
                    work(row)
                except BaseException:
                    stop.set()
                    raise
                with lock:
                    bar.update()

    with bar, _one_opencv_thread(), ThreadPoolExecutor(workers) as pool:
        loops = [pool.submit(loop) for _ in range(workers)]
        try:
            for future in loops:
                future.result()
        finally:
            stop.set()  # Ctrl-C reaches this thread only


def _batches(rows: Sequence[int], group: Callable[[int], int] | None) -> Iterator[list[int]]:
    """Yield what a thread takes at a time."""
    if group is None:
        yield from ([row] for row in rows)
        return
    for _, same in itertools.groupby(rows, group):
        while batch := list(itertools.islice(same, _MOST_AT_A_TIME)):
            yield batch
