"""What is taken of the training fold as a whole, beside its batches: faces, flows and motions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from datamodules.folds.parts import Parts
from datamodules.loaders import to_float
from datamodules.motion.cache import some_of

Order = tuple[int, int]
"""Seed and epoch, of which the order of samples is a pure function."""


class Motion(NamedTuple):
    """The motion of a sequence from its neutral face to its apex.

    Attributes:
        flow: float32 [2, H, W] in pixels, of the frontal camera.
        source: The data set.
        person: Who moves; empty where nobody knows.
        sequence: Name of the sequence.
        content: Its content, see `leak_guard.fingerprint`.
    """

    flow: NDArray[np.float32]
    source: str
    person: str
    sequence: str
    content: int


def frontal_faces(parts: Parts, order: Order, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield faces and classes, see `FlowDataModule.frontal_faces`."""
    names, arrays = parts.class_names, parts.cache.arrays
    rows = parts.samples("train")
    neutral = names.index("neutral") if "neutral" in names else None
    rows, is_apex, classes = choose_faces(rows, parts.classes[rows], neutral, len(names))
    for chosen in _shuffled(len(rows), order, batch_size):
        stored = np.where(
            is_apex[chosen, None, None, None],
            np.asarray(arrays["apex"])[rows[chosen]],
            np.asarray(arrays["neutral"])[rows[chosen]],
        )
        face = to_float({"face": torch.from_numpy(stored)})["face"]
        yield face, torch.from_numpy(classes[chosen])


def frontal_flows(parts: Parts, order: Order, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield flows and classes, see `FlowDataModule.frontal_flows`."""
    rows, flows = parts.samples("train"), np.asarray(parts.cache.arrays["flow"])
    for chosen in _shuffled(len(rows), order, batch_size):
        flow = torch.from_numpy(flows[rows[chosen]]).float()
        yield flow, torch.from_numpy(parts.classes[rows[chosen]])


def average_face(parts: Parts) -> Tensor:
    """Average the neutral faces of people, see `FlowDataModule.average_face`."""
    rows, faces = parts.samples("train"), np.asarray(parts.cache.arrays["neutral"])
    person = parts.index.person_of[rows]
    means = [faces[rows[person == number]].mean(axis=0) for number in np.unique(person)]
    average = torch.from_numpy(np.mean(means, axis=0)).float() / 255
    return average.expand(3, *average.shape[1:]).clone()


def motions(
    parts: Parts, expression: str, contents: NDArray[np.int64], source: str
) -> Iterator[Motion]:
    """Yield the motions of the training part that show a class, in the order of the data set.

    Args:
        parts: Of a data set of motion.
        expression: Name of the class.
        contents: Content of each sample.
        source: The data set.
    """
    rows, index, flows = parts.samples("train"), parts.index, parts.cache.arrays["flow"]
    for row in rows[parts.classes[rows] == parts.class_names.index(expression)].tolist():
        yield Motion(
            np.asarray(flows[row], np.float32),
            source,
            "" if index.subjects is None else index.subjects[row],
            index.names[row],
            int(contents[row]),
        )


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
    added = np.full(missing, -1 if neutral is None else neutral, np.int64)
    return (
        np.concatenate([rows, some_of(expressive, missing)]),
        np.arange(len(rows) + missing) < len(rows),
        np.concatenate([classes, added]),
    )


def _shuffled(count: int, order: Order, batch_size: int) -> Iterator[NDArray[np.int64]]:
    """Yield the positions of batches."""
    shuffled = np.random.default_rng(order).permutation(count)
    for start in range(0, count, batch_size):
        yield shuffled[start : start + batch_size]
