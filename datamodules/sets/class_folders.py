"""Pictures in folders that are named after their expressions, however the copy was cut up."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from datamodules.files import Problems, is_image, walk
from datamodules.labels import Expression

_DEPTH = 3  # of the folders of classes below the root


class ClassFile(NamedTuple):
    """A picture, the expression of its folder, and what the pattern found in its name."""

    path: Path
    expression: Expression
    fields: re.Match[str]


def class_files(
    root: Path, pattern: re.Pattern[str], words: Mapping[str, Expression], problems: Problems
) -> list[ClassFile]:
    """List the pictures in folders named after classes, up to three levels below a root.

    Args:
        root: Folder of the data set, or some levels above it.
        pattern: What the whole name of a picture must match.
        words: Expression of each name of a folder, lower case.
        problems: Added to it are folders that cannot be read, and second files of one name, which
            must not show one picture in two parts; of two expressions none is taken.

    Returns:
        The pictures, folder by folder in natural order.
    """
    named: dict[str, list[ClassFile]] = {}
    for folder, _, names in walk(root, _DEPTH, problems):
        expression = words.get(folder.name.lower())
        if expression is None:
            continue
        for name in names:
            match = pattern.fullmatch(name)
            if match is not None and is_image(folder / name):
                file = ClassFile(folder / name, expression, match)
                named.setdefault(name.lower(), []).append(file)
    found = []
    for first, *others in named.values():
        problems.extend((file.path, f"has the name of {first.path}") for file in others)
        if all(file.expression == first.expression for file in others):
            found.append(first)
    return found
