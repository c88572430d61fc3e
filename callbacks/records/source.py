"""Which code this is: the commit of the checkout, or of the wheel that is installed."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from datamodules.store.replacing import read_json

_ROOT = Path(__file__).resolve().parents[2]
_BUILD = Path(__file__).with_name("build.json")  # setup.py writes it into what is built


def source_state(root: Path = _ROOT, build: Path = _BUILD) -> dict[str, Any] | None:
    """Find the `commit` of the code and whether tracked files differ from it (`dirty`).

    Args:
        root: Folder of the packages; in a checkout git is asked.
        build: What was recorded when the wheel was built.

    Returns:
        Both; None where neither knows.
    """
    if not (root / ".git").exists():
        return read_json(build)
    commit = _git(root, "rev-parse", "HEAD")
    changes = _git(root, "status", "--porcelain", "--untracked-files=no")
    return None if commit is None else {"commit": commit, "dirty": bool(changes)}


def _git(source: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(source), *arguments],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
