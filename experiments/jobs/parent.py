"""A process that does not outlive the one that started it."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time

_PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int | None = None) -> None:
    """Have this process killed as soon as its parent is gone, by kill -9 as well.

    A fold that went on without its cross-validation would write into a folder that the next one
    works in.

    Args:
        parent: Process id of the one that is meant; None takes the present parent.
    """
    meant = os.getppid() if parent is None else parent
    if not _ask_the_kernel():
        threading.Thread(target=watch, args=(meant,), daemon=True).start()
    # It may have gone before the kernel was asked.
    if os.getppid() != meant:
        os._exit(128 + signal.SIGKILL)


def watch(parent: int, every_seconds: float = 1.0) -> None:
    """Wait until a parent is gone, then kill this process.

    Args:
        parent: Its process id.
        every_seconds: Time between two looks.
    """
    while os.getppid() == parent:
        time.sleep(every_seconds)
    os.kill(os.getpid(), signal.SIGKILL)


def _ask_the_kernel() -> bool:
    if sys.platform != "linux":
        return False
    return bool(ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL) == 0)
