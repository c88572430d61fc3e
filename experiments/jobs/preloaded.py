"""What the process imports that steps are forks of, see `warm`; nobody else imports this."""

from __future__ import annotations

import gc
import signal

import callbacks
import datamodules
import experiments.command.execute  # noqa: F401  # steps find it imported
import lightning_modules
from datamodules.lazy import load
from experiments.command.precheck import CommandLine
from experiments.jobs.warm import FOR_THE_LAUNCHER

for package in (callbacks, datamodules, lightning_modules):
    load(package)
CommandLine("fit", [])  # reads the sources that any command line is checked by
# The collector would walk over all that was imported in every step, and so copy its pages.
gc.collect()
gc.freeze()
# The kernel kills the steps with their parent: that must not end before they have kept a
# checkpoint, where a cluster asks all processes of a job to end.
for number in FOR_THE_LAUNCHER:
    signal.signal(number, signal.SIG_IGN)
