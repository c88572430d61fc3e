"""Files that are either whole or not there."""

from __future__ import annotations

import contextlib
import errno
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Let the caller write a file aside and put it in place once it is whole.

    Yields:
        A hidden path beside it, with the same suffix, to be written; the folder is made if need
        be. After an error it is removed and whatever ``path`` held before is still there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        yield aside
        with aside.open("rb") as file:
            os.fsync(file.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


@contextlib.contextmanager
def unless_read_only() -> Iterator[None]:
    """Do without a file that would only save work next time, where nothing may be written."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.EROFS, errno.EACCES, errno.EPERM):
            raise


def read_json(path: Path) -> dict[str, Any] | None:
    """Read an object from a JSON file; None where it is missing or damaged, or no object.

    Raises:
        OSError: If the file is there and cannot be read.
    """
    try:
        values = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return values if isinstance(values, dict) else None


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write an object to a JSON file, which is then there as a whole or as it was before.

    Raises:
        ValueError: If a number is not finite; JSON has no such number.
    """
    text = json.dumps(values, indent=1, allow_nan=False)
    with replacing(path) as aside:
        aside.write_text(text + "\n", "utf-8")
