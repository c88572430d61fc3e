"""A SLURM job that is told of its end goes back to the queue with a whole checkpoint."""

from __future__ import annotations

import signal
from typing import Any

from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.pytorch.utilities.exceptions import SIGTERMException

from experiments.command.console import say
from experiments.jobs.slurm import can_requeue, requeue, slurm_job
from experiments.run.processes import is_first_process


class Requeue:
    """Notes SLURM's warning (`#SBATCH --signal=SIGUSR1@120 --requeue`) and acts after a checkpoint.

    Lightning writes its checkpoint within the signal's handler, which may be in the middle of a
    training step, after the step of one player and before that of the next. Here the handler only
    notes the signal.

    Args:
        asked: Whether the warning came.
    """

    def __init__(self) -> None:
        self.asked = False

    def listen(self) -> None:
        """Wait for the warning, where SLURM runs this process and can take it back."""
        if slurm_job() is None or not SLURMEnvironment.detect():
            return
        if can_requeue():
            signal.signal(signal.SIGUSR1, self._note)
        else:
            say(
                "There is no scontrol here to send this job back to the queue: when its time is "
                "over, submit the same command again, which goes on."
            )

    def leave(self) -> None:
        """Go back to the queue; the job that comes after goes on from the last checkpoint.

        Raises:
            SIGTERMException: Always, since the job is over.
        """
        if is_first_process():
            job = slurm_job() or ""
            say(f"SLURM ends job {job}: it goes back to the queue.")
            requeue(job)
        raise SIGTERMException

    def _note(self, *signal_and_frame: Any) -> None:
        self.asked = True


def slurm_plugins() -> list[SLURMEnvironment]:
    """Return the plugin that keeps Lightning from handling the warning; none outside SLURM."""
    return [SLURMEnvironment(auto_requeue=False)] if SLURMEnvironment.detect() else []
