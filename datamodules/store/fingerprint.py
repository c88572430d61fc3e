"""Fingerprints of what a cache is made of: the files it reads and the code that computes it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

import cv2


def files_digest(paths: Iterable[Path], root: Path) -> str:
    """Fingerprint files by their names below a root, their sizes and times of change; SHA-256.

    Contents are not read: a data set of hundred thousand images would take minutes. A file that
    cannot be looked at counts as missing, for its reader to name.

    Args:
        paths: The files, in any order.
        root: The folder from which they are named, so that the whole may be moved.
    """
    digest = hashlib.sha256()
    for path in sorted(paths):
        try:
            state = path.stat()
            looks = f"{state.st_size} {state.st_mtime_ns}"
        except OSError:
            looks = "missing"
        digest.update(f"{path.relative_to(root)}\0{looks}\0".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def code_digest(*modules: ModuleType) -> str:
    """Fingerprint modules by their sources, together with the version of OpenCV; SHA-256.

    No version number has to be remembered: whoever changes how a row is computed gets new rows.
    """
    digest = hashlib.sha256(cv2.__version__.encode())
    for module in modules:
        digest.update(Path(str(module.__file__)).read_bytes())
    return digest.hexdigest()
