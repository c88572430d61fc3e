"""Signals that end a command with child processes, turned into an error."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from experiments.command.errors import CommandError


class _SignalledError(KeyboardInterrupt):
    """A signal asked the command to end, as Ctrl-C does."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@contextmanager
def ends_in_order(progress: Callable[[], str]) -> Iterator[None]:
    """Turn Ctrl-C and the signals that end a process into an error, after the block's clean-up.

    Args:
        progress: Returns how far the command came, such as "3 of 10 folds are done".

    Raises:
        CommandError: In place of SIGINT, SIGTERM and SIGHUP, with their exit codes.
    """

    def end(number: int, frame: FrameType | None) -> None:
        raise _SignalledError(number)

    # Not those that are ignored: nohup means it.
    handled = [s for s in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(s) is signal.SIG_DFL]
    for number in handled:
        signal.signal(number, end)
    try:
        try:
            yield
        finally:
            for number in handled:
                signal.signal(number, signal.SIG_DFL)
    except KeyboardInterrupt as error:
        number = getattr(error, "number", signal.SIGINT)
        sentence = f"Stopped. {progress()}; the same command goes on."
        raise CommandError(sentence, 128 + number) from None
