"""The cells of a study: cross-validations, found by what their command lines come to."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from callbacks.records.fold_record import is_tested
from datamodules.store.replacing import read_json, write_json
from experiments.crossval.folder import CrossvalFolder
from experiments.study.arguments import CellPlan

_SOURCE = Path(__file__).resolve().parents[2]
# Beside them may lie an environment, or everything that is installed.
_PACKAGES = ("callbacks", "datamodules", "experiments", "lightning_modules", "losses")
_FILE = "cells.json"


@dataclass(frozen=True)
class Cell:
    """A row on a data set with a seed: a cross-validation that other studies may share.

    Args:
        plan: What is run.
        folder: Its folder.
        fold: Numbers of the folds that are wanted; None wants all.
    """

    plan: CellPlan
    folder: CrossvalFolder
    fold: tuple[int, ...] | None

    @property
    def wanted(self) -> Sequence[int] | None:
        """Numbers of the wanted folds, None before the data tell how many there are."""
        if self.fold is not None:
            return self.fold
        count = self.folder.num_folds()
        return None if count is None else range(count)

    @property
    def is_done(self) -> bool:
        """Whether every wanted fold is tested."""
        wanted = self.wanted
        return wanted is not None and all(is_tested(self.folder.fold(n).path) for n in wanted)


class CellFolders:
    """Remembers which folder a command line comes to, which takes seconds to find out.

    Args:
        folder: Folder of the study; it need not exist yet.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / _FILE
        code = (file for name in _PACKAGES for file in (_SOURCE / name).rglob("*.py"))
        source = _state(code, (_SOURCE / "experiments").rglob("*.yaml"))
        self._source = hashlib.sha256(json.dumps(source).encode()).hexdigest()
        found = read_json(self._file, source=str, folders=dict)
        self._written = found is not None and found["source"] == self._source
        self._known: dict[str, str] = found["folders"] if found and self._written else {}

    def find(self, plan: CellPlan) -> CrossvalFolder | None:
        """Return the folder of a cell, None where its command line was never resolved."""
        path = self._known.get(_key(plan))
        return None if path is None else CrossvalFolder(Path(path))

    def remember(self, plan: CellPlan, folder: CrossvalFolder) -> None:
        """Remember the folder of a cell."""
        self._known[_key(plan)] = str(folder.path)
        self._written = False

    def save(self) -> None:
        """Write down what is not written yet."""
        if not self._written:
            write_json(self._file, {"source": self._source, "folders": self._known})
            self._written = True


def _key(plan: CellPlan) -> str:
    # Whatever a command line comes to changes only with it, its files, and the source.
    files = (Path(word.removeprefix("--config=")) for word in plan.fit)
    own = _state(file for file in files if file.suffix in (".yaml", ".yml"))
    return hashlib.sha256(json.dumps([plan.fit, own]).encode()).hexdigest()


def _state(*files: Iterable[Path]) -> list[tuple[str, int, int]]:
    """Return path, size and time of files, in order."""
    found = sorted(path for several in files for path in several if path.is_file())
    return [(str(path), (s := path.stat()).st_size, s.st_mtime_ns) for path in found]
