"""How the folds come along: a bar on a terminal, lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from callbacks.records.fold_record import FoldRecord
from experiments.crossval.summary import headline_accuracy

_LINES_EVERY = 60.0
_BAR_EVERY = 1.0
_DOING = {"fit": "training", "test": "testing"}


class FoldProgress:
    """Shows which folds run and what they say.

    Args:
        headline: Conditions whose accuracy is shown, see `summary.headline_conditions`.
        on_finished: Called after each fold that is done.
        done: Folds that were done before.
        console: Where; the standard error by default.
    """

    def __init__(
        self,
        headline: Sequence[str] | None,
        on_finished: Callable[[], None] = lambda: None,
        done: int = 0,
        console: Console | None = None,
    ) -> None:
        self._headline = headline
        self._on_finished = on_finished
        self._console = console or Console(stderr=True)
        self._bar = Progress(
            TextColumn("folds"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.description}"),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task("", total=None, completed=done)
        self._looked_at = time.monotonic()

    def __enter__(self) -> FoldProgress:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def count(self, folds: int) -> None:
        """Show how many folds there are, with those done before."""
        self._bar.update(self._task, total=folds)

    def started(self, fold: int, verb: str, resumed: bool) -> None:
        """Show that a training or a test starts."""
        again = ", from its last checkpoint" if resumed else ""
        self.say(f"fold {fold}: {_DOING[verb]}{again}")

    def finished(self, fold: int, record: FoldRecord) -> None:
        """Show how a fold went."""
        self._bar.advance(self._task)
        accuracy = headline_accuracy(record, self._headline)
        shown = "" if accuracy is None else f", accuracy {100 * accuracy:.1f} %"
        self.say(f"fold {fold}: done{shown}")
        self._on_finished()

    def failed(self, fold: int, why: str, log: Path) -> None:
        """Show why a fold failed."""
        self.say(f"fold {fold}: failed: {why}\n  its log: {log}")

    def look(self, outputs: Mapping[int, Callable[[], str]]) -> None:
        """Show the last line of each running fold, when it is time.

        Args:
            outputs: Return what folds have printed, by their numbers.
        """
        every = _BAR_EVERY if self._console.is_terminal else _LINES_EVERY
        if time.monotonic() - self._looked_at < every:
            return
        self._looked_at = time.monotonic()
        lines = [f"fold {fold}: {_last_line(read())}" for fold, read in outputs.items()]
        if self._console.is_terminal:
            self._bar.update(self._task, description=escape("; ".join(lines)))
        else:
            for line in lines:
                self.say(line)

    def say(self, line: str) -> None:
        """Print a line above the bar."""
        self._bar.console.print(line, soft_wrap=True, highlight=False, markup=False)


def _last_line(output: str) -> str:
    said = [line.strip() for line in output.split("\n") if line.strip()]
    # A bar in a log redraws itself by carriage returns.
    return said[-1].rsplit("\r", 1)[-1][:100] if said else "starting"
