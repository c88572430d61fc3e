"""How a run is called in Weights & Biases and started there. Nothing here imports torch."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import wandb

from datamodules.errors import UserError
from datamodules.store.lock import Lock, try_lock
from datamodules.store.replacing import read_json, write_json
from experiments.command.console import say
from experiments.run.folder import WANDB_LOCK

WandbMode = Literal["offline", "online", "disabled"]

_FOLDERS = ("WANDB_CACHE_DIR", "WANDB_DATA_DIR", "WANDB_CONFIG_DIR")
_LONGEST_NAME = 128
_SUMMARY_FILE = Path("wandb", "summary.json")
_set_here: list[str] = []
_held: list[Lock] = []


@dataclass(frozen=True)
class WandbIdentity:
    """What a run is in W&B, the same through fit, test and predict.

    Args:
        id: By which every start is the same W&B run.
        group: Name that all seeds and folds of a setting share.
        job: Kind of run: `train`, `eval`, `cv-fold`, `cv-summary` ...
        name: What the run is called: method, data, what differs, fold, seed.
        tags: Method, data, protocol.
    """

    id: str
    group: str
    job: str
    name: str
    tags: tuple[str, ...] = ()

    @classmethod
    def from_plain(cls, values: dict[str, Any]) -> WandbIdentity:
        """Make it of its arguments as JSON has them."""
        return cls(**{**values, "tags": tuple(values["tags"])})


class Guard:
    """Does what may fail; the first failure is said, and from then on it does nothing.

    Attributes:
        failed: Whether something failed.
    """

    def __init__(self) -> None:
        self.failed = False

    def __call__(self, doing: str, action: Callable[[], Any]) -> None:
        """Do something with W&B.

        Args:
            doing: What it is, as in "W&B could not <doing>".
            action: Does it.
        """
        if self.failed:
            return
        try:
            action()
        # Whatever W&B raises (no network, no login, no room, a broken service): training goes on.
        except Exception as error:
            if not self.failed:  # else it could not start, as was said, while something was sent
                self.failed = True
                say(
                    f"W&B could not {doing} ({type(error).__name__}: {str(error).strip()[:200]}); "
                    "the run goes on without it, and metrics.csv has every value."
                )


def start_arguments(folder: Path, mode: WandbMode, identity: WandbIdentity) -> dict[str, Any]:
    """Return what `wandb.init` takes; lock the run, and set the folders that W&B writes to.

    Args:
        folder: The run folder; everything W&B writes stays below it.
        mode: offline, online or disabled.
        identity: What the run is in W&B; within a sweep the agent gives the id.
    """
    with contextlib.suppress(UserError, OSError):  # it only keeps `lightning sync` waiting
        if (lock := try_lock(folder / WANDB_LOCK, shared=True)) is not None:
            _held.append(lock)
    # W&B also keeps caches and settings in the home folder, which may be missing or read-only;
    # online it needs the person's own settings, e.g. the address of a private server.
    for variable in _FOLDERS if mode != "online" else _FOLDERS[:2]:
        if variable not in os.environ:
            os.environ[variable] = str(folder / "wandb")
            _set_here.append(variable)
    # Offline there is nothing to tell; online the person wants the address.
    settings = wandb.Settings(
        console="off",
        silent=mode == "offline",
        init_timeout=30,
        # No names of machine, person and folders, and no command line, which may hold a secret:
        # environment.json, which is sent, has what a result depends on.
        host="-",
        username="-",
        program="lightning",
        x_disable_meta=True,
        x_disable_machine_info=True,
        disable_git=True,
    )
    return {
        "project": os.environ.get("WANDB_PROJECT", "fer-lightning"),
        "name": identity.name[:_LONGEST_NAME],
        "job_type": identity.job,
        "group": identity.group[:_LONGEST_NAME],
        "tags": list(identity.tags),
        # Not Lightning's `offline`, which changes WANDB_MODE for all that runs later.
        "mode": mode,
        "settings": settings,
        **({} if "WANDB_SWEEP_ID" in os.environ else {"id": identity.id}),
    }


def keep_summary(folder: Path, run: Any) -> None:
    """Write down what a run leaves in its summary, for `earlier_summary`."""
    summary = _plain(run.summary)
    kept = {key: value for key, value in summary.items() if not key.startswith("_")}
    write_json(folder / _SUMMARY_FILE, kept)


def earlier_summary(folder: Path) -> dict[str, Any]:
    """Read what the last start of a run left in its summary; empty where there was none.

    Offline each start is sent as a part of its own, and the summary of the last one would be all
    that W&B shows: a start begins with the summary of the one before.
    """
    return read_json(folder / _SUMMARY_FILE) or {}


def _plain(content: Any) -> Any:
    if hasattr(content, "keys"):  # W&B's own mapping
        return {key: _plain(content[key]) for key in [*content.keys()]}
    return content


def wandb_mode(chosen: WandbMode | None) -> WandbMode:
    """Decide how W&B is used: as chosen, else by WANDB_MODE, else offline."""
    if chosen is not None:
        return chosen
    mode = os.environ.get("WANDB_MODE", "offline")
    return "online" if mode == "online" else "disabled" if mode == "disabled" else "offline"


def close_wandb() -> None:
    """End the W&B run of this process, so that a second command does not write into it."""
    if wandb.run is not None:
        wandb.finish()
    while _set_here:
        os.environ.pop(_set_here.pop(), None)
    while _held:
        _held.pop().release()
