"""Makes what starts the steps of a command, or has a job do the whole of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from experiments.jobs.launcher import Launcher
from experiments.jobs.local import LocalLauncher, make_slots
from experiments.jobs.options import LauncherOptions
from experiments.jobs.slurm_launcher import SlurmLauncher
from experiments.jobs.step import PROGRAM, Step

# What says where a job runs and for whom, and not what it needs.
_PLACE = (
    *("account", "clusters", "comment", "mail-type", "mail-user", "partition", "qos"),
    *("reservation", "time"),
)


def make_launcher(options: LauncherOptions) -> Launcher:
    """Make what starts the steps.

    Raises:
        CommandError: If there is no such device, or no SLURM.
    """
    if options.slurm is None:
        return LocalLauncher(make_slots(options.devices, options.jobs))
    return SlurmLauncher(options.slurm, options.jobs)


def detach(options: LauncherOptions, verb: str, args: Sequence[str], folder: Path) -> None:
    """Submit a job of one CPU that runs a command in place of this process.

    It submits the steps, waits for them and sums them up, and goes back to the queue when its time
    is over. A summary that depended on an array would not do: which steps there are is known only
    when others have ended.

    Raises:
        CommandError: If SLURM refuses.
    """
    place = {name: v for name, v in (options.slurm or {}).items() if name in _PLACE}
    launcher = SlurmLauncher({**place, "ntasks": "1", "cpus-per-task": "1"})
    command = [*PROGRAM, verb, *(argument for argument in args if argument != "--detach")]
    step = Step("launcher", verb, folder / "launcher", lambda: command, lambda: False)
    if launcher.adopt(step):
        state = "does so already"
    else:
        launcher.start(step)
        state = "submits the steps, waits for them and sums up"
    print(f"Job {launcher.running[0].number} {state}; its output is in {step.log}.", flush=True)
