"""What a process knows of the one that started it as a step, and how it ends with that one."""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace

_VARIABLE = "FER_LIGHTNING_STEP"
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class StepContext:
    """What a process is told by its environment, where it is a step of something larger.

    Args:
        folder: Run folder of the step.
        group: Name that all seeds and folds of a setting share in W&B.
        wandb_id: Id by which every start of the step is the same W&B run.
        digest: Hash of the config that it must come to, see `shared_config_hash`.
        job: Kind of run that the step is in W&B.
        parent: Process id of the one that starts it and that it ends with; None in a job of a
            cluster, which outlives that one.
    """

    folder: str
    group: str
    wandb_id: str
    digest: str
    job: str = "cv-fold"
    parent: int | None = field(default_factory=os.getpid)

    def environment(self) -> dict[str, str]:
        """Return the environment variable that tells a process."""
        return {_VARIABLE: json.dumps(asdict(self))}

    @classmethod
    def current(cls) -> StepContext | None:
        """Return what this process was told, None where it is no step."""
        text = os.environ.get(_VARIABLE)
        return None if text is None else cls(**json.loads(text))

    @staticmethod
    def forget() -> None:
        """Make this process no step: it starts steps of its own."""
        os.environ.pop(_VARIABLE, None)


def outlives_parent(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a step as that of one that does not end with its parent.

    Args:
        environment: What `StepContext.environment` returned, or anything without a step.
    """
    if _VARIABLE not in environment:
        return dict(environment)
    told = StepContext(**json.loads(environment[_VARIABLE]))
    return {**environment, **replace(told, parent=None).environment()}


def wandb_id(*decisive: object) -> str:
    """Make the id of a W&B run.

    Args:
        *decisive: What tells the run from all others.

    Returns:
        Eight hexadecimal digits, the same for the same arguments.
    """
    text = "/".join(map(str, decisive))
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()[:8]


def die_with_parent(parent: int | None) -> None:
    """Have this process killed as soon as its parent is gone, by kill -9 as well.

    A step that went on without its parent would write into a folder that the next one writes in.

    Args:
        parent: Process id of the one that is meant; None takes the present parent.
    """
    meant = os.getppid() if parent is None else parent
    if not _ask_the_kernel():
        threading.Thread(target=_watch, args=(meant,), daemon=True).start()
    # It may have gone before the kernel was asked.
    if os.getppid() != meant:
        os._exit(128 + signal.SIGKILL)


def die_with(process: int) -> None:
    """Have this process killed as soon as one is gone that is not its parent (Linux).

    Args:
        process: Process id of that one.
    """
    try:
        handle = os.pidfd_open(process)
    except ProcessLookupError:
        os._exit(128 + signal.SIGKILL)

    def wait() -> None:
        select.select([handle], [], [])  # readable once it has ended
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=wait, daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1.0)
    os.kill(os.getpid(), signal.SIGKILL)


def _ask_the_kernel() -> bool:
    if sys.platform != "linux":
        return False
    return bool(ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL) == 0)
