"""Steps as forks of one process that has imported PyTorch, Lightning and this project already.

Importing them takes seconds, twice a fold of a cross-validation. It is Python's fork server: it
computes nothing and so has no threads that a fork would lose, and it ends with this process and
its steps, which are killed where this process is.
"""

from __future__ import annotations

import atexit
import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from multiprocessing import forkserver
from pathlib import Path

from experiments.jobs.context import StepContext, die_with

FOR_THE_LAUNCHER = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
"""Signals that may be sent to all processes of a job, and that its server does not hear."""

_MAIN = Path(__file__).parents[1] / "__main__.py"
_context = multiprocessing.get_context("forkserver")


def can_be_warm(command: Sequence[str]) -> bool:
    """Tell whether a command is `lightning` on a system where a fork is safe.

    The server listens at a path of 32 characters below the folder of temporary files, and Linux
    takes 107 in all.
    """
    lightning = [sys.executable, "-m", "experiments"]
    has_room = len(os.fsencode(tempfile.gettempdir())) <= 75
    return sys.platform == "linux" and has_room and list(command[:3]) == lightning


class WarmProcess:
    """A `lightning` command in a forked process, with what is used of `subprocess.Popen`.

    Args:
        arguments: What follows `lightning`.
        environment: All of its environment.
        log: File to which its output is added.
    """

    def __init__(self, arguments: Sequence[str], environment: dict[str, str], log: Path) -> None:
        self._process = _context.Process(target=_run, args=(list(arguments), environment, log))
        _context.set_forkserver_preload(["experiments.jobs.preloaded"])
        with _in(environment):  # libraries read their number of threads when they are loaded
            forkserver.ensure_running()
        self._process.start()
        self.pid = self._process.pid or 0

    def poll(self) -> int | None:
        """Return how it ended, negative where a signal did it; None while it runs."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it ends.

        Raises:
            TimeoutExpired: If it still runs.
        """
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired("lightning", timeout or 0.0)
        return self._process.exitcode

    def terminate(self) -> None:
        """Ask it to end."""
        self._process.terminate()


def _run(arguments: list[str], environment: dict[str, str], log: Path) -> None:
    """Become what `python -m experiments ARGUMENTS` is; runs in the forked process."""
    os.setsid()
    # What the server registered is its own: a step that ran it would remove W&B's folder of
    # pictures and tables from under all later ones.
    atexit._clear()
    for number in FOR_THE_LAUNCHER:
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with log.open("ab") as output, Path(os.devnull).open("rb") as nothing:
        for file, descriptor in ((nothing, 0), (output, 1), (output, 2)):
            os.dup2(file.fileno(), descriptor)
    os.environ.clear()
    os.environ.update(environment)
    if (told := StepContext.current()) is not None and told.parent is not None:
        # The server lives on while a step does, so that the step has to see for itself that the
        # launcher was killed.
        die_with(told.parent)
        os.environ.update(replace(told, parent=os.getppid()).environment())
    multiprocessing.set_start_method(None, force=True)  # for the workers of loaders
    # Lightning starts the processes of further devices by this.
    sys.argv = [str(_MAIN), *arguments]
    from experiments.cli import main  # late: the launcher imports this module and runs no command

    try:
        main(arguments)
    finally:
        atexit._run_exitfuncs()  # which a process of multiprocessing leaves out


@contextlib.contextmanager
def _in(environment: Mapping[str, str]) -> Iterator[None]:
    """Have the environment of this process be another one for a while."""
    own = dict(os.environ)
    try:
        os.environ.clear()
        os.environ.update(environment)
        yield
    finally:
        os.environ.clear()
        os.environ.update(own)
