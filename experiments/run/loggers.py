"""metrics.csv, which is always there, and Weights & Biases, which may fail."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import wandb
from lightning.fabric.loggers.logger import rank_zero_experiment
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.loggers.logger import Logger
from lightning.pytorch.utilities import rank_zero_only
from wandb.sdk.lib import RunDisabled

from datamodules.store.lock import lock
from datamodules.store.replacing import replacing
from experiments.command.console import say
from experiments.command.privacy import without_home

WandbMode = Literal["offline", "online", "disabled"]

_FOLDERS = ("WANDB_CACHE_DIR", "WANDB_DATA_DIR", "WANDB_CONFIG_DIR")
_set_here: list[str] = []


class MetricsCSV(Logger):
    """Appends to `metrics.csv` of the run folder.

    Lightning's CSVLogger deletes the file when a run is resumed or tested. Here rows are only
    added: after a resume the steps since the last checkpoint come twice, with the same values.
    A column that comes later is added to the file.

    Args:
        folder: The run folder.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._path = folder / "metrics.csv"

    @property
    def name(self) -> str:
        """Name of the experiment."""
        return self._path.parent.parent.name

    @property
    def version(self) -> str:
        """Name of the run."""
        return self._path.parent.name

    @property
    def save_dir(self) -> str:
        """The run folder."""
        return str(self._path.parent)

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Add a row of values by key, at the global step."""
        # Written at once: a row held back would be lost with a kill after the next checkpoint.
        row = {"step": step, **metrics}
        # A test may write beside a training that is still running.
        with lock(self._path.parent / ".metrics.lock", on_wait=lambda: None):
            columns = _columns(self._path)
            new = [key for key in row if key not in columns]
            if new:
                _add_columns(self._path, [*columns, *new])
            with self._path.open("a", newline="", encoding="utf-8") as file:
                if not _ends_a_line(self._path):
                    file.write("\n")  # a kill cut the last one short
                csv.DictWriter(file, [*columns, *new]).writerow(row)

    @rank_zero_only
    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Leave the config to config.yaml."""


def _columns(path: Path) -> list[str]:
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return next(csv.reader(file), [])


def _ends_a_line(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


def _add_columns(path: Path, columns: list[str]) -> None:
    rows: list[dict[str, str]] = []
    if path.exists():
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    with replacing(path) as aside, aside.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)


class RunWandbLogger(WandbLogger):
    """A WandbLogger whose failure never ends a run: it warns once and is silent from then on."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # W&B 0.31 warns of the setting whatever its value.
        self._wandb_init.pop("anonymous", None)
        self._failed = False

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """The W&B run; one that does nothing where W&B cannot start."""
        if self._experiment is None:
            started = self._guard("start", lambda: WandbLogger.experiment.fget(self))  # type: ignore[attr-defined]
            self._experiment = RunDisabled() if started is None else started
        return self._experiment

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Send a row of values by key, at the global step."""
        self._guard("log", lambda: super(RunWandbLogger, self).log_metrics(metrics, step))

    @rank_zero_only
    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Send the config."""
        public = without_home(params)  # a folder on this machine names its user
        self._guard("log", lambda: super(RunWandbLogger, self).log_hyperparams(public))

    @rank_zero_only
    def attempt(self, action: Callable[[Any], Any]) -> None:
        """Do something with the W&B run that Lightning has no method for; warn if it fails."""
        run = self.experiment
        if not self._failed:
            self._guard("log", lambda: action(run))

    def _guard(self, doing: str, action: Callable[[], Any]) -> Any:
        if self._failed:
            return None
        try:
            return action()
        # Whatever W&B raises (no network, no login, no room, a broken service): training goes on.
        except Exception as error:
            if self._failed:  # it could not start, as was said, while something was to be sent
                return None
            self._failed = True
            self._experiment = RunDisabled()
            say(
                f"W&B could not {doing} ({type(error).__name__}: {str(error).strip()[:200]}); "
                "the run goes on without it, and metrics.csv has every value."
            )
            return None


def wandb_logger(
    folder: Path, mode: WandbMode, *, run_id: str, name: str, group: str, job: str, tags: list[str]
) -> RunWandbLogger:
    """Make the W&B logger of a run.

    Args:
        folder: The run folder; everything W&B writes stays below it.
        mode: offline, online or disabled.
        run_id: Id by which a resumed run is the same W&B run.
        name: Name shown in W&B.
        group: Runs of one config.
        job: `train`, `eval`, `cv-fold` or `cv-summary`.
        tags: Method, data, protocol.

    Returns:
        The logger, not started yet.
    """
    # W&B also keeps caches and settings in the home folder, which may be missing or read-only;
    # online it needs the person's own settings, e.g. the address of a private server.
    for variable in _FOLDERS if mode != "online" else _FOLDERS[:2]:
        if variable not in os.environ:
            os.environ[variable] = str(folder / "wandb")
            _set_here.append(variable)
    # Within a sweep the agent gives the id.
    identity = {} if "WANDB_SWEEP_ID" in os.environ else {"id": run_id}
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
    return RunWandbLogger(
        project=os.environ.get("WANDB_PROJECT", "fer-lightning"),
        save_dir=str(folder),
        name=name,
        job_type=job,
        group=group,
        tags=tags,
        # Not Lightning's `offline`, which changes WANDB_MODE for all that runs later.
        mode=mode,
        settings=settings,
        **identity,
    )


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
