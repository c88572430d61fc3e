"""Where the steps of a command run, as its command line says it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class LauncherOptions:
    """Where steps run.

    Args:
        jobs: Steps at once; None takes one for each device, and sets no bound in SLURM.
        devices: Accelerators to spread steps over, `auto` for all; empty leaves all visible to
            every step.
        slurm: Options of sbatch; None runs steps on this machine.
        detach: Whether a job does the waiting, see `launch.detach`.
    """

    jobs: int | None = None
    devices: tuple[str, ...] = ()
    slurm: Mapping[str, str] | None = None
    detach: bool = False
