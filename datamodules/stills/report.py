"""What is said once about a data set of still images."""

from __future__ import annotations

from datamodules.folds import write_protocol
from datamodules.parts import FaceParts

_LISTED = 5  # problems written out; the error that they are by default names all


def describe_faces(title: str, parts: FaceParts) -> str:
    """Describe a data set, and write its folds beside the cache where it has some.

    Args:
        title: Name of the data set and its source.
        parts: The data set.

    Returns:
        Several lines of text.
    """
    index, cache = parts.index, parts.cache
    colours = "coloured" if cache.arrays["image"].ndim == 4 else "grey"
    unlabelled = int((parts.classes < 0).sum())
    lines = [
        f"{title}: {len(index)} {colours} images; {len(index.problems)} problems in files and "
        f"lists and {int((~cache.valid).sum())} unusable images skipped; {unlabelled} without an "
        f"expression of {', '.join(parts.class_names)}",
        *(f"skipped {path}: {reason}" for path, reason in index.problems[:_LISTED]),
        *index.notes,
        *parts.split.notes,
        *(_describe_part(parts, name) for name in parts.rows),
        _describe_limit(parts),
        _describe_duplicates(parts),
        *_write_folds(parts),
    ]
    return "\n".join(line for line in lines if line)


def _describe_part(parts: FaceParts, name: str) -> str:
    counts = parts.class_counts(name)
    named = zip(parts.class_names, counts, strict=True)
    classes = ", ".join(f"{class_name} {count}" for class_name, count in named)
    people = f" of {len(parts.subjects[name])} people" if parts.index.subjects else ""
    other = len(parts.rows[name]) - sum(counts)
    without = f", {other} without a label" if other else ""
    return f"{name}: {len(parts.rows[name])} images{people}: {classes}{without}"


def _describe_limit(parts: FaceParts) -> str:
    labelled = int((parts.split.fold_of[parts.rows["train"]] >= 0).sum())
    if labelled == parts.usable_for_training:
        return ""
    return (
        f"data.train_limit: {labelled} of {parts.usable_for_training} labelled training images "
        "are used"
    )


def _describe_duplicates(parts: FaceParts) -> str:
    held_out = {name: rows for name in ("val", "test") if len(rows := parts.rows[name])}
    if not held_out:
        return ""
    found = parts.duplicates()
    exact = found.twins(parts.rows["train"], near=False)
    near = found.twins(parts.rows["train"]) & ~exact
    told = ", ".join(
        f"{int(exact[rows].sum())} of {name} exactly and {int(near[rows].sum())} nearly"
        for name, rows in held_out.items()
    )
    return (
        f"{len(found.groups(near=False))} groups of equal images; of held-out images these have a "
        f"twin in train: {told}; test scores are given without them too"
    )


def _write_folds(parts: FaceParts) -> list[str]:
    if parts.split.num_folds == 1:
        return []
    path = parts.cache.path
    file = path.with_name(f"{path.name}.report") / f"protocol_{parts.folds_hash[:12]}.csv"
    write_protocol(file, parts.protocol())
    return [f"{parts.split.num_folds} folds, written to {file}"]
