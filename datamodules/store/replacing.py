"""Files that are either whole or not there."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import socket
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

# Tells machines that share a folder apart, and names none.
_HOST = f"{zlib.crc32(socket.gethostname().encode()):08x}"


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Let the caller write a file aside and put it in place once it is whole.

    Yields:
        A hidden path beside it, with the same suffix, to be written; the folder is made if need
        be. After an error it is removed and whatever ``path`` held before is still there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(path.parent)
    aside = own_path(path)
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


def own_path(path: Path) -> Path:
    """Return a hidden path beside another, with the same suffix, that no other process has."""
    return path.with_name(f".{path.stem}.{os.getpid()}-{_HOST}{path.suffix}")


def remove_leftovers(folder: Path) -> None:
    """Remove what processes of this machine that are no longer alive left under their `own_path`.

    They would gather: a kill leaves no time to remove them.
    """
    for path in folder.glob(f".*.*-{_HOST}*"):
        found = re.search(rf"\.(\d+)-{_HOST}", path.name)
        if found and not _is_alive(int(found.group(1))):
            path.unlink(missing_ok=True)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # another person's, or no number of a process
        return True
    return True


def read_json(path: Path, **kinds: type | tuple[type, ...]) -> dict[str, Any] | None:
    """Read an object from a JSON file.

    Args:
        path: The file.
        **kinds: Of what kind each value is that the caller needs.

    Returns:
        The object; None where the file is missing, damaged or no file, holds no object or a number
        that is not finite, or lacks a value of these kinds.

    Raises:
        OSError: If the file is there and cannot be read.
    """
    try:
        values = json.loads(path.read_bytes(), parse_constant=_no_number)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, ValueError, RecursionError):
        return None
    whole = isinstance(values, dict) and all(
        isinstance(values.get(name), kind) for name, kind in kinds.items()
    )
    return values if whole else None


def _no_number(text: str) -> None:
    raise ValueError(f"JSON has no {text}.")


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write an object to a JSON file, which is then there as a whole or as it was before.

    Raises:
        ValueError: If a number is not finite; JSON has no such number.
    """
    text = json.dumps(values, indent=1, allow_nan=False)
    with replacing(path) as aside:
        aside.write_text(text + "\n", "utf-8")
