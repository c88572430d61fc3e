"""Writes a whole data set or none: a temporary sibling, a marker, a lock, a rename."""

from __future__ import annotations

import hashlib
import logging
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from datamodules.errors import DatasetError
from datamodules.files import MARKER
from datamodules.store.lock import lock
from datamodules.store.replacing import read_json, write_json
from datamodules.synthetic.painting import Bytes

_log = logging.getLogger(__name__)


def code_version() -> str:
    """Fingerprint of the drawing code: another drawing is another data set."""
    digest = hashlib.sha256(cv2.__version__.encode())
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.name.encode() + source.read_bytes())
    return digest.hexdigest()[:16]


def write_tree(root: Path, parameters: Mapping[str, Any], draw: Callable[[Path], None]) -> None:
    """Draws a tree once; a tree of the same parameters and code is left as it is.

    Args:
        root: Where the tree goes; its parent is made.
        parameters: What the tree is a function of, of JSON types; they go into the marker.
        draw: Writes the tree into an empty folder.

    Raises:
        DatasetError: The folder holds something else, or cannot be written (the disk is full).
    """
    marker = {**parameters, "code": code_version()}
    try:
        waiting = "Another process is drawing the synthetic faces %s; waiting."
        file = root.with_name(f".{root.name}.lock")
        with lock(file, on_wait=lambda: _log.warning(waiting, root)):
            if read_json(root / MARKER) == marker:
                return
            _refuse_foreign(root)
            _replace(root, marker, draw)
    except OSError as error:
        raise DatasetError(
            f"The synthetic faces could not be written to {root} ({error.strerror or error}); "
            "free some space or name another folder."
        ) from error


def write_png(path: Path, image: Bytes) -> None:
    """Writes a picture, quickly rather than small.

    Args:
        path: The file.
        image: uint8 grey [h, w] or RGB [h, w, 3].

    Raises:
        OSError: The file cannot be written.
    """
    stored = cv2.cvtColor(image, cv2.COLOR_RGB2BGR) if image.ndim == 3 else image
    # Sensor noise leaves nothing for the search of repetitions.
    options = [cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_HUFFMAN_ONLY]
    _, data = cv2.imencode(".png", stored, [cv2.IMWRITE_PNG_COMPRESSION, 1, *options])
    path.write_bytes(np.asarray(data).tobytes())


def _replace(root: Path, marker: Mapping[str, Any], draw: Callable[[Path], None]) -> None:
    fresh, old = root.with_name(f".{root.name}.drawing"), root.with_name(f".{root.name}.old")
    for leftover in (fresh, old):  # of a process that was killed; we hold the lock
        shutil.rmtree(leftover, ignore_errors=True)
    fresh.mkdir()
    try:
        draw(fresh)
        write_json(fresh / MARKER, marker)
        if root.exists():
            root.rename(old)
        fresh.rename(root)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def _refuse_foreign(root: Path) -> None:
    """Never deletes what somebody else put there."""
    occupied = root.exists() and (not root.is_dir() or any(root.iterdir()))
    if occupied and not (root / MARKER).exists():
        raise DatasetError(
            f"{root} exists and holds no {MARKER}, so it was not drawn here; synthetic faces are "
            "not written over it. Name another folder or empty this one."
        )
