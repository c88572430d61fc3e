"""metrics.csv, which is always there, and Weights & Biases, which may fail."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from lightning.fabric.loggers.logger import rank_zero_experiment
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.loggers.logger import Logger
from lightning.pytorch.utilities import rank_zero_only
from wandb.sdk.lib import RunDisabled

from datamodules.store.lock import lock
from datamodules.store.replacing import replacing
from experiments.command.privacy import without_home
from experiments.run.wandb_run import (
    Guard,
    WandbIdentity,
    WandbMode,
    earlier_summary,
    keep_summary,
    start_arguments,
)


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
    """A WandbLogger whose failure never ends a run: it warns once and is silent from then on.

    Args:
        best: Values whose best stands in the summary, and whether that is their min or max.
        summary: What stands in the summary from the start.
        **kwargs: Those of WandbLogger.
    """

    def __init__(
        self,
        best: Mapping[str, Literal["min", "max"]],
        summary: Mapping[str, Any],
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        # W&B 0.31 warns of the setting whatever its value.
        self._wandb_init.pop("anonymous", None)
        self._best = best
        self._summary = summary
        self._guard = Guard()

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """The W&B run; one that does nothing where W&B cannot start or failed."""
        if self._experiment is None and not self._guard.failed:
            self._guard("start", self._start)
        return RunDisabled() if self._guard.failed else self._experiment

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
        self._guard("log", lambda: action(run))

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Keep the summary for the next start of the run."""
        if self._experiment is not None:
            self._guard("log", lambda: keep_summary(Path(self.save_dir or ""), self._experiment))
        super().finalize(status)

    def _start(self) -> None:
        run = WandbLogger.experiment.fget(self)  # type: ignore[attr-defined]
        for name, mode in self._best.items():
            run.define_metric(name, step_metric="trainer/global_step", summary=mode)
        if self._summary:
            run.summary.update(dict(self._summary))


def wandb_logger(
    folder: Path,
    mode: WandbMode,
    identity: WandbIdentity,
    best: Mapping[str, Literal["min", "max"]] | None = None,
) -> RunWandbLogger:
    """Make the W&B logger of a run, not started yet.

    Args:
        folder: The run folder; everything W&B writes stays below it.
        mode: offline, online or disabled.
        identity: What the run is in W&B.
        best: Values whose best stands in the summary, and whether that is their min or max.
    """
    summary = earlier_summary(folder) if mode == "offline" else {}
    arguments = start_arguments(folder, mode, identity)
    # W&B's service stays in the folder in which this process first asked for it.
    place = str(folder.absolute())
    return RunWandbLogger(best or {}, summary, save_dir=place, **arguments)
