"""Single frontal faces with their expressions, to fit an image classifier."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from datamodules.loaders import to_float
from datamodules.store.cache import Cache


def choose_faces(
    rows: NDArray[np.int64], classes: NDArray[np.int64], neutral: int | None, num_classes: int
) -> tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.int64]]:
    """Choose faces from neutral-apex pairs.

    The apex of each pair has the class of its sequence. Where neutral is a class, first frames,
    spread over the pairs, are added until it is as large as the mean of the other classes: all of
    them would make it larger than those together.

    Args:
        rows: int64 [N], numbers of the pairs.
        classes: int64 [N], their classes.
        neutral: Index of the class neutral, if there is one.
        num_classes: Number of classes.

    Returns:
        Numbers of pairs, whether the face is the apex (else the first frame), and classes.
    """
    missing = 0
    expressive = rows[:0]
    if neutral is not None:
        expressive = rows[classes != neutral]
        missing = len(expressive) // (num_classes - 1) - int((classes == neutral).sum())
        missing = min(max(missing, 0), len(expressive))
    spread = np.linspace(0, len(expressive), missing, endpoint=False).astype(np.int64)
    added = np.full(missing, -1 if neutral is None else neutral, np.int64)
    return (
        np.concatenate([rows, expressive[spread]]),
        np.arange(len(rows) + missing) < len(rows),
        np.concatenate([classes, added]),
    )


def face_batches(
    cache: Cache,
    rows: NDArray[np.int64],
    is_apex: NDArray[np.bool_],
    classes: NDArray[np.int64],
    *,
    batch_size: int,
    seed: tuple[int, ...],
) -> Iterator[tuple[Tensor, Tensor]]:
    """Read faces in an order that the seed fixes.

    Args:
        cache: Cache of the pairs.
        rows: int64 [N], numbers of pairs.
        is_apex: bool [N], whether to take the apex rather than the first frame.
        classes: int64 [N].
        batch_size: Faces a batch.
        seed: Seed of the order.

    Yields:
        Faces float32 [B, 3, H, W] in [0, 1] and classes int64 [B], on the CPU.
    """
    order = np.random.default_rng(seed).permutation(len(rows))
    for start in range(0, len(order), batch_size):
        chosen = order[start : start + batch_size]
        stored = np.where(
            is_apex[chosen, None, None, None],
            np.asarray(cache.arrays["apex"])[rows[chosen]],
            np.asarray(cache.arrays["neutral"])[rows[chosen]],
        )
        yield (
            to_float({"face": torch.from_numpy(stored)})["face"],
            torch.from_numpy(classes[chosen]),
        )
