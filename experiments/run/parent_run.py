"""The W&B run of what is made of several: a cross-validation, a transfer, a study."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import wandb

from experiments.command.privacy import without_home
from experiments.run.wandb_run import (
    Guard,
    WandbIdentity,
    WandbMode,
    close_wandb,
    start_arguments,
)


class ParentRun:
    """Sends numbers and tables without a trainer; a failure of W&B is said once and ends nothing.

    Within a sweep it is the sweep's run, and one of its numbers what the sweep optimises.

    Args:
        folder: Folder of the whole.
        mode: offline or online.
        identity: What the run is in W&B.
        config: What its config says; the home folder is taken out.
        step: Logged value that is the x axis of all others, such as `cv/n_folds`.
    """

    def __init__(
        self,
        folder: Path,
        mode: WandbMode,
        identity: WandbIdentity,
        config: Mapping[str, Any],
        step: str | None = None,
    ) -> None:
        self._folder, self._mode, self._identity = folder, mode, identity
        self._config = dict(config)
        self._step = step
        self._guard = Guard()
        self._run: Any = None

    def log(self, metrics: Mapping[str, Any]) -> None:
        """Send a row of values by key."""
        self._attempt(lambda run: run.log(dict(metrics)))

    def finish(
        self,
        metrics: Mapping[str, float],
        shown: Mapping[str, Callable[[], Any]] | None = None,
        config: Mapping[str, Any] | None = None,
    ) -> None:
        """Send the last row with what shows it, and end the run.

        Args:
            metrics: Values by key, which stand in the summary too.
            shown: Tables and charts by key; each is made once the run has begun.
            config: What the config says of the results.
        """

        def send(run: Any) -> None:
            self._configure(config or {})
            run.log({**metrics, **{key: make() for key, make in (shown or {}).items()}})
            # A sweep reads the history, a table of runs the summary.
            run.summary.update(dict(metrics))

        self._attempt(send)
        close_wandb()

    def _attempt(self, action: Callable[[Any], Any]) -> None:
        if self._run is None:
            self._guard("start", self._start)
        self._guard("log", lambda: action(self._run))

    def _start(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        arguments = start_arguments(self._folder, self._mode, self._identity)
        # W&B's service stays in the folder in which this process first asked for it.
        place = str(self._folder.absolute())
        self._run = wandb.init(dir=place, resume="allow", **arguments)
        self._configure(self._config)
        if self._step is not None:
            self._run.define_metric(self._step)
            folder = self._step.rpartition("/")[0]
            self._run.define_metric(f"{folder}/*", step_metric=self._step)

    def _configure(self, config: Mapping[str, Any]) -> None:
        if config:  # W&B 0.31 takes an empty one for a list
            self._run.config.update(without_home(config), allow_val_change=True)


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Callable[[], Any]:
    """Make what makes a W&B table."""
    data = [list(row) for row in rows]
    return lambda: wandb.Table(columns=list(columns), data=data, allow_mixed_types=True)
