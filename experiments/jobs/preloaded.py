"""What the process imports that steps are forks of, see `warm`; nobody else imports this."""

from __future__ import annotations

import contextlib
import gc
import signal
from pathlib import Path

import callbacks
import datamodules
import experiments.command.execute  # noqa: F401  # steps find it imported
import lightning_modules
from callbacks.figures.pictures import new_axes, raster
from datamodules.errors import UserError
from datamodules.lazy import load
from experiments.command.precheck import CommandLine
from experiments.command.resolve import ResolvedExperiment
from experiments.jobs.warm import FOR_THE_LAUNCHER

_EXPERIMENTS, _ANY = Path(__file__).parents[1], ("resnet18.yaml", "data/ferplus.yaml")

for package in (callbacks, datamodules, lightning_modules):
    load(package)
CommandLine("fit", [])  # reads the sources that any command line is checked by
# What the first command line and the first figure of a process read and keep took each step a
# tenth of a second and more: any experiment and any figure do. The environment is that of the first
# fold, whose config is another one.
with contextlib.suppress(UserError):
    ResolvedExperiment([f"--config={_EXPERIMENTS / name}" for name in _ANY])
raster(new_axes(4, 3, "title")[0])
# The collector would walk over all that was imported in every step, and so copy its pages.
gc.collect()
gc.freeze()
# The kernel kills the steps with their parent: that must not end before they have kept a
# checkpoint, where a cluster asks all processes of a job to end.
for number in FOR_THE_LAUNCHER:
    signal.signal(number, signal.SIG_IGN)
