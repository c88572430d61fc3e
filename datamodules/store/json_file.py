"""Small JSON files that one process writes and others may read at any time."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from datamodules.store.replacing import replacing


def read_json(path: Path) -> dict[str, Any] | None:
    """Read an object from a JSON file.

    Args:
        path: The file.

    Returns:
        Its values; None where there is no such file, or it holds anything but a whole object.

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

    Args:
        path: The file; its folder is made if need be.
        values: Of JSON types, in the order in which they are written.

    Raises:
        ValueError: If a number is not finite; JSON has no such number.
    """
    text = json.dumps(values, indent=1, allow_nan=False)
    with replacing(path) as aside:
        aside.write_text(text + "\n", "utf-8")
