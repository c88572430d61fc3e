"""Signals that end a command with child processes, turned into an error."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class EndedError(Exception):
    """A signal asked the command to end.

    Args:
        number: The signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@contextmanager
def ends_in_order() -> Iterator[None]:
    """Turn the signals that end a process into an error, so that its children end with it.

    Raises:
        EndedError: In place of SIGTERM and SIGHUP.
    """

    def end(number: int, frame: FrameType | None) -> None:
        raise EndedError(number)

    # Not those that are ignored: nohup means it.
    ending = [s for s in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(s) is signal.SIG_DFL]
    for number in ending:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in ending:
            signal.signal(number, signal.SIG_DFL)


def exit_code(error: BaseException) -> int:
    """Return the exit code of a command that Ctrl-C or a signal ended."""
    return 128 + (error.number if isinstance(error, EndedError) else signal.SIGINT)
