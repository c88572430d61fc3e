"""Signals that end a command with child processes, turned into an error."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from experiments.command.errors import CommandError
from experiments.jobs.slurm import can_requeue, requeue, slurm_job


class _SignalledError(KeyboardInterrupt):
    """A signal asked the command to end, as Ctrl-C does."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@contextmanager
def ends_in_order(progress: Callable[[], str]) -> Iterator[None]:
    """Turn Ctrl-C and the signals that end a process into an error, after the block's clean-up.

    SLURM's warning (`#SBATCH --signal=USR1@120 --requeue`) sends the job back to the queue.

    Args:
        progress: Returns how far the command came, such as "3 of 10 folds are done".

    Raises:
        CommandError: In place of SIGINT, SIGTERM, SIGHUP and, in a job of SLURM, SIGUSR1, with
            their exit codes.
    """
    job = slurm_job()
    if job is not None and not can_requeue():
        print(
            f"There is no scontrol here to send job {job} back to the queue: when its time is "
            "over, submit the same command again, which goes on.",
            flush=True,
        )

    def end(number: int, frame: FrameType | None) -> None:
        raise _SignalledError(number)

    # Not those that are ignored: nohup means it.
    ending = (signal.SIGTERM, signal.SIGHUP, *((signal.SIGUSR1,) if job else ()))
    handled = [s for s in ending if signal.getsignal(s) is signal.SIG_DFL]
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
        if number == signal.SIGUSR1 and job is not None and can_requeue():
            sentence = f"SLURM ends job {job}: it goes back to the queue. {progress()}."
            requeue(job)
        raise CommandError(sentence, 128 + number) from None
