"""Digests of files and of code, by which caches tell what they were made of."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

import cv2


def files_digest(paths: Iterable[str | Path], root: Path) -> str:
    """Fingerprint files by their names below a root, their sizes and times of change; SHA-256.

    Contents are not read: a data set of hundred thousand images would take minutes. A file that
    cannot be looked at counts as missing, for its reader to name.
    """
    digest = hashlib.sha256()
    above = len(os.fspath(root / "_")) - 1
    # Strings, because Paths take ten times as long; in the order of Paths, folder by folder.
    for path in sorted(
        (os.fspath(path) for path in paths), key=lambda path: path.replace("/", "\0")
    ):
        try:
            state = os.stat(path)  # noqa: PTH116
            looks = f"{state.st_size} {state.st_mtime_ns}"
        except OSError:
            looks = "missing"
        digest.update(f"{path[above:]}\0{looks}\0".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def code_digest(*modules: ModuleType) -> str:
    """Fingerprint modules by their sources, together with the version of OpenCV; SHA-256.

    No version number has to be remembered: whoever changes how a row is computed gets new rows.
    """
    digest = hashlib.sha256(cv2.__version__.encode())
    for module in modules:
        digest.update(Path(str(module.__file__)).read_bytes())
    return digest.hexdigest()
