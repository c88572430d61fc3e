"""Compare how many images were found with how many a data set was published with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from lightning.pytorch.utilities import rank_zero_warn

from datamodules.errors import DatasetError
from datamodules.files import is_synthetic


def compare_counts(
    name: str,
    root: Path,
    found: Mapping[str, int],
    published: Mapping[str, int],
    *,
    strict: bool = False,
    kind: str = "image",
) -> str:
    """Compare counts with those of a publication.

    Args:
        name: Name of the data set.
        root: Where it was found; drawn faces are not compared.
        found: Number of usable samples of each part, by the names of `published`.
        published: The published numbers.
        strict: Whether a difference is an error.
        kind: What is counted.

    Returns:
        A note for the log. A difference is a warning, too: nobody should take a part of a data
        set for the whole.

    Raises:
        DatasetError: If there is a difference, and `strict` is true.
    """
    total = sum(found.values())
    if is_synthetic(root):
        return f"{total} synthetic {kind}s"
    parts = {**published, **{part: 0 for part in found if part not in published}}
    differing = ", ".join(
        f"{part} {found.get(part, 0)} (of {count})"
        for part, count in parts.items()
        if found.get(part, 0) != count
    )
    if not differing:
        return f"{total} {kind}s, each count as published"
    note = (
        f"{total} {kind}s are usable, published are {sum(published.values())}; "
        f"counts differ in {differing}"
    )
    if strict:
        raise DatasetError(f"{name} at {root}: {note}. Set data.strict_counts to false to go on.")
    rank_zero_warn(f"{name} at {root}: {note}.")
    return note
