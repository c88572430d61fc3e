"""The file that tells trees of drawn faces from those of real people."""

from __future__ import annotations

from pathlib import Path

MARKER = "SYNTHETIC.json"
"""File in the root of every tree that is drawn here; a tree without it is not ours."""


def is_synthetic(folder: Path) -> bool:
    """Tell whether a folder is a tree that was drawn here, or lies in one."""
    return any((place / MARKER).exists() for place in (folder, *folder.absolute().parents))
