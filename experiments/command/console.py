"""What the console shows: sentences, and no message about nothing."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from datamodules.errors import printable
from experiments.run.processes import is_first_process

_WARNINGS = (
    # The loaders read a memory map and decode nothing; processes would only add work.
    ".*does not have many workers.*",
    # The sampler, and not the loader, knows where to go on (FlowDataModule.state_dict).
    ".*your dataloader is not resumable.*",
    # A small set has few batches; values are logged at the end of the epoch too.
    ".*smaller than the logging interval.*",
    # e_FER and the perceptual network are frozen and in eval mode on purpose.
    ".*module\\(s\\) in eval mode at the start of training.*",
    # A run that goes on from a checkpoint of an epoch's end begins with its schedulers.
    ".*`lr_scheduler.step\\(\\)` before `optimizer.step\\(\\)`.*",
    # What Lightning 2.6 still calls by its old name in jsonargparse 4, to which we are bound.
    "(?s).*(JsonargparseDeprecationWarning|v5\\.0\\.0)",
    # Jobs of several tasks without srun are refused (jobs/slurm.py); one process needs none.
    ".*`srun` command is available on your system but is not used.*",
    # Between Lightning 2.6 and torch 2.13.
    ".*`isinstance\\(treespec, LeafSpec\\)` is deprecated.*",
    # One device is the default; the samplers count each sample once on several.
    ".*it is recommended to use `Trainer\\(devices=1, num_nodes=1\\)`.*",
)


def say(text: str) -> None:
    """Tell the person something, once however many processes there are.

    Args:
        text: What to say. It goes to the standard error, beside progress and warnings.
    """
    if is_first_process():
        print(printable(text), file=sys.stderr, flush=True)


@contextmanager
def quiet() -> Iterator[None]:
    """Leave out messages that are about nothing here, until the block ends."""
    logger = logging.getLogger("lightning.pytorch.utilities.rank_zero")
    logger.addFilter(_no_advertisement)
    with warnings.catch_warnings():
        for message in _WARNINGS:
            warnings.filterwarnings("ignore", message)
        try:
            yield
        finally:
            logger.removeFilter(_no_advertisement)


def _no_advertisement(record: logging.LogRecord) -> bool:
    return "litlogger" not in record.getMessage() and "litmodels" not in record.getMessage()
