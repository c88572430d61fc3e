"""Steps as processes of this machine, so many at a time, each on a device of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from datamodules.store.threads import cores
from experiments.command.errors import usage_error
from experiments.jobs.launcher import Job, Launcher
from experiments.jobs.step import Step
from experiments.jobs.warm import WarmProcess, can_be_warm

# What tells a process that it is one of several of a run, a certain W&B run, or a step itself.
_NOT_INHERITED = (
    "FER_LIGHTNING_RUN",
    "FER_LIGHTNING_STEP",
    "GROUP_RANK",
    "LOCAL_RANK",
    "LOCAL_WORLD_SIZE",
    "MASTER_ADDR",
    "MASTER_PORT",
    "NODE_RANK",
    "PL_GLOBAL_SEED",
    "RANK",
    "WANDB_DESCRIPTION",
    "WANDB_JOB_TYPE",
    "WANDB_NAME",
    "WANDB_NOTES",
    "WANDB_RESUME",
    "WANDB_SERVICE",
    "WANDB_TAGS",
    "WORLD_SIZE",
)
_NOT_INHERITED_BEGINNINGS = ("SLURM_", "TORCHELASTIC_", "WANDB_RUN_", "WANDB_SWEEP_")
_GRACE = 30.0


@dataclass(eq=False)
class LocalJob(Job):
    """A step as a process.

    Args:
        step: The step.
        start: Where in the step's log this start begins.
        process: Its process, which leads a session of its own.
        device: What it sees of the accelerators, see `LocalLauncher`.
    """

    process: subprocess.Popen[bytes] | WarmProcess
    device: str | None

    @property
    def exit_code(self) -> int | None:
        """How it ended, negative where a signal did it; None while it runs."""
        return self.process.poll()

    def kill(self) -> None:
        """Kill it with all processes that it started, if it is still there."""
        # The number of a process that has ended may be another's by now.
        if self.exit_code is None:
            with contextlib.suppress(ProcessLookupError):  # a fork that leads no group yet
                os.killpg(self.process.pid, signal.SIGKILL)
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.process.pid, signal.SIGKILL)
            self.process.wait()


class LocalLauncher(Launcher):
    """Starts steps as processes that end with this one, see `StepContext`.

    Args:
        slots: One entry for each step that may run at once: what CUDA_VISIBLE_DEVICES becomes,
            None for what is visible here; see `make_slots`.

    Attributes:
        running: What was started and is not known to have ended.
    """

    running: list[LocalJob]

    def __init__(self, slots: Sequence[str | None]) -> None:
        self.running = []
        self._free = list(slots)
        self._device_of: dict[str, str | None] = {}
        # As it is now: W&B puts the folder of the parent's run into it later.
        self._inherited = inherited_environment(os.environ, max(1, cores() // len(slots)))

    def has_room(self) -> bool:
        """Tell whether a slot is free."""
        return bool(self._free)

    def start(self, step: Step) -> None:
        """Start a step in a free slot, that of a step that it needs where it can be."""
        before = [self._device_of[name] for name in step.needs if name in self._device_of]
        device = next((one for one in before if one in self._free), self._free[0])
        visible = {} if device is None else {"CUDA_VISIBLE_DEVICES": device}
        environment = {**self._inherited, **visible, **step.environment()}
        step.folder.mkdir(parents=True, exist_ok=True)
        with step.log.open("ab") as log:
            log.write(f"--- {time.strftime('%Y-%m-%d %H:%M:%S')} {step.verb}\n".encode())
            log.flush()
            start = log.tell()
            process = _start(step.command(), environment, log)
        self.running.append(LocalJob(step, start, process, device))
        self._free.remove(device)
        self._device_of[step.name] = device

    def ended(self) -> list[LocalJob]:
        """Return what has ended since the last call; its slots are free again."""
        ended = [job for job in self.running if job.exit_code is not None]
        self.running = [job for job in self.running if job not in ended]
        self._free += [job.device for job in ended]
        return ended

    def stop(self) -> None:
        """End all that run: asked first, so that they keep a checkpoint, killed after a while."""
        for job in self.running:
            job.process.terminate()
        deadline = time.monotonic() + _GRACE
        try:
            for job in self.running:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    job.process.wait(max(0.0, deadline - time.monotonic()))
        finally:  # also after a second Ctrl-C
            for job in self.running:
                job.kill()


def _start(
    command: Sequence[str], environment: dict[str, str], log: BinaryIO
) -> subprocess.Popen[bytes] | WarmProcess:
    """Start a command that adds to a log, in a session of its own.

    A terminal's Ctrl-C is for the parent, which ends its steps in order; and all processes of a
    step can be killed as one group.
    """
    if can_be_warm(command):
        return WarmProcess(command[3:], environment, Path(log.name))
    return subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def inherited_environment(environment: Mapping[str, str], threads: int) -> dict[str, str]:
    """Make the environment that all steps share.

    Args:
        environment: That of this process.
        threads: Threads to compute with, unless a person set their number.

    Returns:
        The same without what would make a step a part of another run, and with the paths that this
        process imports from.
    """
    kept = {
        name: value
        for name, value in environment.items()
        if name not in _NOT_INHERITED and not name.startswith(_NOT_INHERITED_BEGINNINGS)
    }
    # The number of threads changes last digits, so it must not depend on how many steps run now.
    kept.setdefault("OMP_NUM_THREADS", str(threads))
    kept.setdefault("MKL_NUM_THREADS", kept["OMP_NUM_THREADS"])
    # A step imports what this process imports, and nothing else from its working directory.
    paths = os.pathsep.join(path or str(Path.cwd()) for path in sys.path)
    return {**kept, "PYTHONUNBUFFERED": "1", "PYTHONPATH": paths, "PYTHONSAFEPATH": "1"}


def make_slots(devices: Sequence[str], jobs: int | None) -> list[str | None]:
    """Choose the device of each of the steps that run at once.

    Args:
        devices: Numbers or ids of GPUs, or `auto` alone for all that are visible; empty for any.
        jobs: Steps at once; None takes one a device.

    Returns:
        What CUDA_VISIBLE_DEVICES becomes for each, None for any device.

    Raises:
        CommandError: If there is no such device.
    """
    if not devices:
        return [None] * (jobs or 1)
    import torch  # late, since it takes seconds

    count = torch.cuda.device_count()
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = visible.split(",") if visible else [str(number) for number in range(count)]
    if tuple(devices) == ("auto",):
        devices = [str(number) for number in range(count)]
        if not devices:
            print(
                "--devices auto: no GPU is visible here, so one step runs at a time unless --jobs "
                "says how many.",
                flush=True,
            )
            return [None] * (jobs or 1)
    for device in devices:
        if device.isdecimal() and int(device) >= count:
            shown = f"only {count} (from 0)" if count else "none"
            raise usage_error(f"--devices names GPU {device}, but this machine shows {shown}.")
    tokens = [names[int(device)] if device.isdecimal() else device for device in devices]
    return [tokens[number % len(tokens)] for number in range(jobs or len(tokens))]
