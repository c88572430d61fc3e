"""Where progress is shown: a table over a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import logging
import math
import sys
import time
from typing import Any, NamedTuple, Protocol

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table


class Row(NamedTuple):
    """What is shown of an epoch, or of the steps up to a validation within it.

    Attributes:
        place: How far the training has come, such as 3/15.
        unit: Of what: epoch or step.
        monitor: The key that selects the best checkpoint; empty where there is none.
        value: Its value; None where it was not validated.
        best: Whether that is the best so far.
        loss_name: Key of the loss: `train/total`, else the first that the method logs.
        loss: Mean of some of its values since the row before; None where none was logged.
        rate: Learning rate of the first optimizer.
        seconds: Time since the row before.
        left: Seconds left of the whole run; None where no limit is known.
    """

    place: str
    unit: str
    monitor: str
    value: float | None
    best: bool
    loss_name: str
    loss: float | None
    rate: float | None
    seconds: float
    left: float | None


class Display(Protocol):
    """Where progress is shown."""

    def row(self, row: Row) -> None:
        """Show a row."""

    def advance(self, what: str, done: int, whole: float, rest: str) -> None:
        """Show that so many batches of an epoch, a test or an input are done.

        Args:
            what: Such as `epoch 3/15` or `test`.
            done: Batches.
            whole: Of so many; infinite where the number is not known.
            rest: What else is known, such as the time left.
        """

    def close(self) -> None:
        """Give the terminal back."""


def display_on(console: Console) -> Display:
    """Choose how to show progress: on a terminal as a table with a bar, elsewhere as lines."""
    return Screen(console) if console.is_terminal else Lines()


class Lines:
    """A line a row, for a log file or a pipe, where a bar that redraws itself is unreadable.

    Args:
        every_seconds: Time between two lines within an epoch that takes longer.
    """

    def __init__(self, every_seconds: float = 60.0) -> None:
        self.every_seconds = every_seconds
        self._printed_at: float | None = None

    def row(self, row: Row) -> None:
        """Print the monitored value, then the others."""
        star = " *" if row.best else ""
        parts = [f"{row.monitor} {row.value:.4g}{star}"] if row.value is not None else []
        parts.append(f"{row.unit} {row.place}")
        parts += [f"{row.loss_name} {row.loss:.4g}"] if row.loss is not None else []
        parts += [f"lr {row.rate:.2g}"] if row.rate is not None else []
        parts.append(duration(row.seconds))
        parts += [f"{duration(row.left)} left"] if row.left is not None else []
        self._print(", ".join(parts))

    def advance(self, what: str, done: int, whole: float, rest: str) -> None:
        """Print a line when it is time, and at the end of a test or an input."""
        now = time.monotonic()
        if self._printed_at is None:
            self._printed_at = now
        ends = done == whole and what in ("test", "predict")
        if ends or now - self._printed_at >= self.every_seconds:
            # A stream of clips does not know its length.
            total = f"/{whole:.0f}" if math.isfinite(whole) else ""
            self._print(", ".join([f"{what}: batch {done}{total}", *([rest] if rest else [])]))

    def close(self) -> None:
        """There is nothing to give back."""

    def _print(self, line: str) -> None:
        print(line, file=sys.stderr, flush=True)
        self._printed_at = time.monotonic()


class Screen:
    """A table that grows by a row, over the bar of what is under way.

    Args:
        console: The terminal.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._star, self._rule = ("*", "-") if console.options.ascii_only else ("★", "─")
        self._widths: list[int] = []
        self._bar: Progress | None = None
        self._streams: list[tuple[logging.StreamHandler[Any], Any]] = []

    def row(self, row: Row) -> None:
        """Print the row, and before the first one the heads of the columns."""
        if not self._widths:
            heads = [row.unit, row.loss_name, row.monitor, "lr", "time", "left"]
            self._widths = _column_widths(heads, row.place, self._console.width)
            self._print(heads, "bold")
            self._print([self._rule * width for width in self._widths], "dim")
        value = "" if row.value is None else f"{row.value:.4g} {self._star if row.best else ' '}"
        cells = [
            row.place,
            "" if row.loss is None else f"{row.loss:.4g}",
            value,
            "" if row.rate is None else f"{row.rate:.2g}",
            _clock(row.seconds),
            "" if row.left is None else _clock(row.left),
        ]
        self._print(cells, "green" if row.best else "")

    def advance(self, what: str, done: int, whole: float, rest: str) -> None:
        """Move the bar."""
        bar = self._bar or self._make_bar()
        [task] = bar.task_ids
        total = whole if math.isfinite(whole) else None
        bar.update(task, description=escape(what), completed=done, total=total, rest=escape(rest))
        if self._bar is None:
            self._bar = bar
            bar.start()
            # It has put itself before the standard error, which Lightning's log holds since before.
            for handler in logging.getLogger("lightning.pytorch").handlers:
                if isinstance(handler, logging.StreamHandler):
                    self._streams.append((handler, handler.stream))
                    handler.setStream(sys.stderr)

    def close(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
        for handler, stream in self._streams:
            handler.setStream(stream)
        self._streams.clear()

    def _make_bar(self) -> Progress:
        bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rest]}"),
            console=self._console,
            transient=True,
            expand=True,
        )
        bar.add_task("")
        return bar

    def _print(self, cells: list[str], style: str) -> None:
        table = Table.grid(padding=(0, 2, 0, 0))
        for width in self._widths:
            table.add_column(width=width, justify="right", no_wrap=True, overflow="ellipsis")
        table.add_row(*map(escape, cells), style=style)
        self._console.print(table, highlight=False)


def _column_widths(heads: list[str], place: str, screen: int) -> list[int]:
    """Give each column what its head or its values need, the longest heads less where needed."""
    last = 2 * len(place.partition("/")[2]) + 1  # such as 2000/2000
    least = [max(last, len(heads[0])), 9, 11, 7, 7, 7]
    widths = [max(len(head), width) for head, width in zip(heads, least, strict=True)]
    for _ in range(sum(widths) + 2 * len(widths) - screen):
        spare = [width - smallest for width, smallest in zip(widths, least, strict=True)]
        widths[spare.index(max(spare))] -= max(spare) > 0
    return widths


def duration(seconds: float) -> str:
    """Write a time for people, such as 1 min 5 s."""
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
