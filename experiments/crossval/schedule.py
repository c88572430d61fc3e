"""Which step of which fold runs when, and what its end means for the others."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from callbacks.records.fold_report import SPLIT_FILE
from datamodules.store.replacing import replacing
from experiments.command.errors import CommandError
from experiments.crossval.folder import CrossvalFolder
from experiments.crossval.records import DamagedRecordError, FoldRecord, read_record
from experiments.jobs.process import LOG_FILE, Child, Step, start_child, stop
from experiments.run.folder import RunFolder

_FAILURE = "failure.json"
_LOOK_EVERY = 0.1
_USAGE_ERROR = 2


class Watcher(Protocol):
    """Is told how the folds come along."""

    def count(self, folds: int) -> None:
        """Hear how many folds are to be done."""

    def started(self, fold: int, step: Step, resumed: bool) -> None:
        """Hear of a step that starts."""

    def finished(self, fold: int, record: FoldRecord) -> None:
        """Hear of a fold that is done."""

    def failed(self, fold: int, why: str, log: Path) -> None:
        """Hear of a fold that failed."""

    def look(self, running: Sequence[Child]) -> None:
        """Be called several times a second."""


@dataclass(frozen=True)
class Work:
    """How folds are run.

    Args:
        command: Program and arguments of a step of a fold.
        environment: Environment of a fold on a device.
        slots: One entry for each fold that may run at once: its device, None for any.
    """

    command: Callable[[int, Step], Sequence[str]]
    environment: Callable[[int, str | None], Mapping[str, str]]
    slots: Sequence[str | None]


def next_step(run: RunFolder) -> Step | None:
    """Tell what is left to do for a fold.

    Args:
        run: Its run folder.

    Returns:
        fit, test (also where the record of a test is damaged), or None where it is done.
    """
    try:
        if read_record(run.path) is not None:
            return None
    except DamagedRecordError:
        pass
    try:
        trained = run.status.get("state") == "finished" and checkpoint(run).is_file()
    except json.JSONDecodeError:
        trained = False
    return "test" if trained else "fit"


def checkpoint(run: RunFolder) -> Path:
    """Name the weights to test: those that validation chose, else those of the last epoch."""
    best = run.checkpoints / "best.ckpt"
    return best if best.is_file() else run.last


def failure(run: RunFolder) -> str | None:
    """Say why a fold failed when it was last run; None where it did not."""
    try:
        said: str = json.loads((run.path / _FAILURE).read_text("utf-8"))["said"]
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return said


class Schedule:
    """Runs folds, so many at a time.

    The first one starts alone, until its data are set up: it builds the caches that all share, it
    tells how many folds there are, and where it fails already all others would.

    Args:
        folder: Folder of the cross-validation.
        work: How folds are run.
        watcher: Is told how they come along.
        expected: `folds_hash` and `manifest_hash` of folds that were finished before.
    """

    def __init__(
        self,
        folder: CrossvalFolder,
        work: Work,
        watcher: Watcher,
        expected: tuple[str, str] | None = None,
    ) -> None:
        self._folder = folder
        self._work = work
        self._watcher = watcher
        self._expected = expected
        self._free = list(reversed(work.slots))
        self._devices: dict[int, str | None] = {}
        self._running: dict[int, Child] = {}
        self._waiting: deque[int] = deque()
        self._splits: dict[int, int] = {}
        self._all = False
        self._ready = False
        self.failures: dict[int, str] = {}

    def run(self, folds: Sequence[int] | None) -> None:
        """Run folds until all are done or failed; what failed is in `failures`.

        Args:
            folds: Their numbers; None takes all that there are.

        Raises:
            CommandError: If all folds would fail, with the sentence of the first.
        """
        self._all = folds is None
        self._queue(range(self._folder.num_folds() or 1) if folds is None else folds)
        try:
            while self._waiting or self._running:
                self._fill()
                time.sleep(_LOOK_EVERY)
                self._look()
                self._watcher.look(list(self._running.values()))
        finally:
            stop(list(self._running.values()))

    def _queue(self, folds: Sequence[int]) -> None:
        begun = {*self._running, *self.failures}
        left = (fold for fold in folds if fold not in begun)
        self._waiting = deque(fold for fold in left if next_step(self._folder.fold(fold)))
        self._watcher.count(len(self._waiting) + len(self._running))

    def _fill(self) -> None:
        while self._waiting and self._free and (self._ready or not self._running):
            fold = self._waiting.popleft()
            self._devices[fold] = self._free.pop()
            self._start(fold)

    def _start(self, fold: int) -> None:
        run = self._folder.fold(fold)
        step = next_step(run)
        if step is None:
            raise AssertionError(f"fold {fold} is done already")
        (run.path / _FAILURE).unlink(missing_ok=True)
        self._splits[fold] = _stamp(run.path / SPLIT_FILE)
        environment = self._work.environment(fold, self._devices[fold])
        self._watcher.started(fold, step, resumed=run.last.exists())
        command = self._work.command(fold, step)
        self._running[fold] = start_child(command, environment, run.path, fold, step)

    def _look(self) -> None:
        for fold, child in list(self._running.items()):
            code = child.process.poll()
            if not self._ready:
                self._see_data(fold)
            if code is not None:
                del self._running[fold]
                self._end(child, code)

    def _see_data(self, fold: int) -> None:
        """Let the others start once the data of the first fold are set up."""
        if _stamp(self._folder.fold(fold).path / SPLIT_FILE) == self._splits[fold]:
            return
        split = self._folder.split(fold)
        if split is None:
            return
        self._ready = True
        if self._expected not in (None, (split["folds_hash"], split["manifest_hash"])):
            raise CommandError(
                f"The data have changed since other folds in {self._folder.path} were tested: "
                "restore them, or move that folder away to start anew."
            )
        if self._all:
            # Now it is certain how many there are.
            self._queue(range(int(split["folds"])))

    def _end(self, child: Child, code: int) -> None:
        run = self._folder.fold(child.fold)
        left = next_step(run)
        if code == 0 and child.step == "fit" and left == "test":
            self._start(child.fold)
            return
        self._free.append(self._devices[child.fold])
        if code == 0 and left is None:
            record = read_record(run.path)
            if record is not None:
                self._watcher.finished(child.fold, record)
                return
        why = child.sentence() if code else f"its {child.step} ended without a result"
        with replacing(run.path / _FAILURE) as aside:
            aside.write_text(json.dumps({"step": child.step, "said": why}) + "\n", "utf-8")
        if code > 0 and not self._ready:
            raise CommandError(why, code)
        if code == _USAGE_ERROR:  # a config file was changed meanwhile
            self._waiting.clear()
        self.failures[child.fold] = why
        self._watcher.failed(child.fold, why, run.path / LOG_FILE)


def _stamp(path: Path) -> int:
    """Tell one version of a file from the next."""
    return path.stat().st_mtime_ns if path.exists() else 0
