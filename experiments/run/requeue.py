"""A SLURM job that is told of its end goes back to the queue with a whole checkpoint."""

from __future__ import annotations

import os
import signal
import subprocess
from typing import Any

from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.pytorch.utilities.exceptions import SIGTERMException

from experiments.command.console import say
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
        """Wait for the warning, where SLURM runs this process."""
        if SLURMEnvironment.detect():
            signal.signal(signal.SIGUSR1, self._note)

    def leave(self) -> None:
        """Go back to the queue; the job that comes after goes on from the last checkpoint.

        Raises:
            SIGTERMException: Always, since the job is over.
        """
        if is_first_process():
            job = os.environ["SLURM_JOB_ID"]
            if array := os.environ.get("SLURM_ARRAY_JOB_ID"):
                job = f"{array}_{os.environ['SLURM_ARRAY_TASK_ID']}"
            say(f"SLURM ends job {job}: it goes back to the queue.")
            subprocess.run(["scontrol", "requeue", job], check=True)
        raise SIGTERMException

    def _note(self, *signal_and_frame: Any) -> None:
        self.asked = True


def slurm_plugins() -> list[SLURMEnvironment]:
    """Return what keeps Lightning from handling the warning itself.

    Returns:
        A plugin for the trainer; none outside SLURM.
    """
    return [SLURMEnvironment(auto_requeue=False)] if SLURMEnvironment.detect() else []
