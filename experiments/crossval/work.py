"""How the processes of a fold are called: program, arguments, environment, device."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from datamodules.store.threads import cores
from experiments.command.errors import usage_error
from experiments.crossval.folder import CrossvalFolder
from experiments.crossval.schedule import Work, checkpoint
from experiments.jobs.process import Step, child_environment
from experiments.run.membership import Membership


def make_slots(devices: Sequence[str], jobs: int | None) -> list[str | None]:
    """Say on which device each of the folds that run at once runs.

    Args:
        devices: Numbers or ids of GPUs; empty for any.
        jobs: Folds at once; None takes one a device.

    Returns:
        One entry a fold: what CUDA_VISIBLE_DEVICES becomes, None for any device.

    Raises:
        CommandError: If there is no such device.
    """
    if not devices:
        return [None] * (jobs or 1)
    count = torch.cuda.device_count()
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = visible.split(",") if visible else [str(number) for number in range(count)]
    for device in devices:
        if device.isdecimal() and int(device) >= count:
            shown = f"only {count} (from 0)" if count else "none"
            raise usage_error(f"--devices names GPU {device}, but this machine shows {shown}.")
    tokens = [names[int(device)] if device.isdecimal() else device for device in devices]
    return [tokens[number % len(tokens)] for number in range(jobs or len(tokens))]


def make_work(folder: CrossvalFolder, fit: Sequence[str], slots: Sequence[str | None]) -> Work:
    """Say how the folds of an experiment are trained and tested.

    Args:
        folder: Folder of the cross-validation.
        fit: Command line of `fit` that all folds share.
        slots: Device of each of the folds that run at once.
    """
    about = folder.about()
    # As it is now: W&B puts the folder of the whole into it later.
    inherited = {**os.environ, **importable()}
    threads = max(1, cores() // len(slots))

    def command(fold: int, step: Step) -> list[str]:
        weights = [f"--ckpt_path={checkpoint(folder.fold(fold))}"] if step == "test" else []
        program = [sys.executable, "-m", "experiments", step]
        return [*program, *fit, f"--data.fold={fold}", *weights]

    def environment(fold: int, device: str | None) -> dict[str, str]:
        path = folder.fold(fold).path
        told = Membership(
            folder=str(path),
            group=about.group,
            wandb_id=about.wandb_id(path.name),
            digest=about.config_hash,
            parent=os.getpid(),
        )
        return child_environment(inherited, told.environment(), device=device, threads=threads)

    return Work(command, environment, slots)


def importable() -> dict[str, str]:
    """Let a child import what this process imports, and nothing else from its working directory."""
    paths = [path or str(Path.cwd()) for path in sys.path]
    return {"PYTHONPATH": os.pathsep.join(paths), "PYTHONSAFEPATH": "1"}
