"""Motions of people in a data set, to be put onto other faces."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from datamodules.folds.parts import Parts


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


def training_motions(
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
