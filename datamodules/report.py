"""What is said once about a data set: its parts, its people, and where its folds are written."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from datamodules.parts import Parts
from datamodules.protocols import write_protocol

_LISTED = 5  # problems written out; the error that they are by default names all
_NAMED = 20  # people of a part named one by one


def describe(title: str, parts: Parts, remarks: Sequence[str]) -> list[str]:
    """Describe a data set, and write its folds beside the cache where it has some.

    Args:
        title: Name of the data set and its source.
        parts: The data set.
        remarks: What else is to be said about this kind of data.

    Returns:
        Lines of text.
    """
    index, cache = parts.index, parts.cache
    people = f" of {len(index.people)} people" if index.people else ""
    rows = f", {len(cache.valid)} pairs of frames" if len(cache.valid) > len(index) else ""
    outside = int((parts.assignment.fold_of < 0).sum())
    return [
        f"{title}: {len(index)} {index.kind}s{people}{rows}; {len(index.problems)} problems in "
        f"files and lists and {int((~cache.valid).sum())} unusable rows skipped; {outside} "
        f"{index.kind}s in no part: not of {parts.expressions}, or not in the protocol",
        *(f"skipped {path}: {reason}" for path, reason in index.problems[:_LISTED]),
        *index.notes,
        *parts.assignment.notes,
        *(_describe_part(parts, name) for name in parts.rows),
        *remarks,
        *_write_folds(parts),
    ]


def _describe_part(parts: Parts, name: str) -> str:
    rows, people = parts.rows[name], parts.subjects[name]
    samples = np.unique(parts.sample_of[rows])
    pairs = f"{len(rows)} pairs, " if len(rows) > len(samples) else ""
    listed = f" ({', '.join(people)})" if len(people) <= _NAMED else ""
    of_whom = f" of {len(people)} people{listed}" if people else ""
    counts = zip(parts.class_names, parts.class_counts(name), strict=True)
    classes = ", ".join(f"{class_name} {count}" for class_name, count in counts)
    other = int((parts.classes[samples] < 0).sum())
    without = f", {other} without a label" if other else ""
    return f"{name}: {pairs}{len(samples)} {parts.index.kind}s{of_whom}: {classes}{without}"


def _write_folds(parts: Parts) -> list[str]:
    if parts.assignment.num_folds == 1:
        return []
    # Not into the cache: a file that appears there would have its checksums compared again.
    folder = parts.cache.path.with_name(f"{parts.cache.path.name}.report")
    file = folder / f"protocol_{parts.folds_hash[:12]}.csv"
    write_protocol(file, parts.protocol())
    return [f"{parts.assignment.num_folds} folds, written to {file}"]
