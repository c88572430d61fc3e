"""The trials of a sweep: kept by Optuna, shared by workers, taken up where a worker was killed."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock
from optuna.trial import FrozenTrial, TrialState

from datamodules.store.lock import Lock, lock, try_lock
from experiments.command.errors import usage_error
from experiments.sweep.space import grid
from experiments.sweep.sweep_file import Sweep

if TYPE_CHECKING:
    from optuna.pruners import BasePruner

JOURNAL = "journal.log"
FOLDER, WHY = "folder", "why"
"""What is noted of a trial: folder of its cross-validation, why it failed."""
MOST_STARTS = 10
"""Starts of a setting: a job of a cluster may end several times before a trial does."""
INSTEAD_OF, _START, _AS = "instead_of", "start", "same_as"
_MOST_DRAWN = 50  # settings that were tried before, until the space counts as exhausted


@dataclass(frozen=True)
class Taken:
    """A trial that this process works on, until it is told or the process dies.

    Args:
        trial: Optuna's.
        setting: Its parameters as a command line has them.
        held: Tells others that it is being worked on.
    """

    trial: optuna.Trial
    setting: dict[str, str]
    held: Lock


class Trials:
    """The trials of a sweep.

    Optuna's heartbeat, which finds the trials of killed workers, needs a database and a loop of its
    own. Here a worker holds a lock on its trial, which the system releases when it dies: a trial
    that runs and is not locked is tried again, and goes on in its folder.

    Args:
        folder: Folder of the sweep, which all workers share.
        sweep: The search.
        wanted: Number of trials.
        storage: Address of a database; None takes a journal in the folder.

    Raises:
        CommandError: If the database cannot be opened.
    """

    def __init__(self, folder: Path, sweep: Sweep, wanted: int, storage: str | None) -> None:
        self._folder, self._sweep, self._wanted = folder, sweep, wanted
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        with self._alone():
            self.study = optuna.create_study(
                study_name=folder.name,
                storage=_open(folder / JOURNAL, storage),
                direction="maximize",
                pruner=_pruner(sweep.prune_after),
                load_if_exists=True,
            )

    def prepare(self) -> None:
        """Queue the settings of a grid, and what failed in an earlier start of the command."""
        with self._alone():
            if self._sweep.method == "grid":
                for setting in grid(self._sweep.space)[: self._wanted]:
                    self.study.enqueue_trial(setting, skip_if_exists=True)
            self._release_dead()
            self._try_again(killed_only=False)

    def take(self) -> Taken | None:
        """Take the next trial; None where the others do what is left."""
        with self._alone():
            self._release_dead()
            self._try_again(killed_only=True)
            for _ in range(_MOST_DRAWN):
                if self._started() >= self._wanted:
                    return None
                self.study.sampler = self._sampler()
                trial = self.study.ask({k: p.distribution() for k, p in self._sweep.space.items()})
                setting = self.setting(trial.params)
                if (same := self._same_as(trial.number, setting)) is None:
                    held = try_lock(self._lock_of(trial.number))
                    assert held is not None  # for mypy: nobody else knows of this trial
                    return Taken(trial, setting, held)
                trial.set_user_attr(_AS, same)
                self.study.tell(trial, state=TrialState.FAIL)
            self.study.set_user_attr("exhausted", True)
            return None

    def nothing_left(self) -> bool:
        """Tell whether every trial was told, or is being worked on."""
        with self._alone():
            self._release_dead()
            self._try_again(killed_only=True)
            return self._started() >= self._wanted or self.is_exhausted

    @property
    def is_exhausted(self) -> bool:
        """Whether there are no further settings to try."""
        return bool(self.study.user_attrs.get("exhausted"))

    def told(self) -> list[FrozenTrial]:
        """List the trials that ended, each the last start of its setting, in their order."""
        return [trial for trial in self._counted() if trial.state.is_finished()]

    def setting(self, params: dict[str, object]) -> dict[str, str]:
        """Write what Optuna drew as a command line has it."""
        space = self._sweep.space
        return {key: space[key].text(drawn) for key, drawn in params.items()}

    def _alone(self) -> Lock:
        return lock(self._folder / ".trials.lock", on_wait=lambda: None)

    def _lock_of(self, number: int) -> Path:
        return self._folder / "locks" / f"{number:05d}"

    def _release_dead(self) -> None:
        """End the trials of processes that died."""
        for trial in self.study.get_trials(deepcopy=False, states=[TrialState.RUNNING]):
            held = try_lock(self._lock_of(trial.number))
            if held is not None:
                with held:
                    self.study.tell(trial.number, state=TrialState.FAIL)

    def _try_again(self, *, killed_only: bool) -> None:
        """Queue the settings of trials that failed."""
        for trial in self._counted():
            start = trial.user_attrs.get(_START, 1)
            if trial.state == TrialState.FAIL and start < MOST_STARTS:
                if killed_only and WHY in trial.user_attrs:
                    continue
                again = {INSTEAD_OF: trial.number, _START: start + 1}
                self.study.enqueue_trial(trial.params, user_attrs=again)

    def _counted(self) -> list[FrozenTrial]:
        """List the trials without those that were tried again or never begun."""
        trials = self.study.get_trials(deepcopy=False)
        gone = {trial.user_attrs.get(INSTEAD_OF) for trial in trials}
        return [t for t in trials if t.number not in gone and _AS not in t.user_attrs]

    def _started(self) -> int:
        return sum(trial.state != TrialState.WAITING for trial in self._counted())

    def _same_as(self, number: int, setting: dict[str, str]) -> int | None:
        """Return the number of another trial of a setting, None where it is new."""
        others = (trial for trial in self._counted() if trial.number != number and trial.params)
        same = (trial.number for trial in others if self.setting(trial.params) == setting)
        return next(same, None)

    def _sampler(self) -> BaseSampler:
        # Each trial has draws of its own, so that a search that goes on draws what it would have.
        count = len(self.study.get_trials(deepcopy=False))
        seed = int(np.random.SeedSequence([0, count]).generate_state(1)[0])
        if self._sweep.method == "random":
            return RandomSampler(seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            # Without it workers that draw at the same time would draw the same.
            return TPESampler(seed=seed, constant_liar=True)


def _pruner(after: int | None) -> BasePruner:
    """Return what ends trials early: folds are the same samples for all, so they are paired."""
    if after is None:
        return optuna.pruners.NopPruner()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return optuna.pruners.WilcoxonPruner(n_startup_steps=after)


def _open(journal: Path, storage: str | None) -> BaseStorage:
    if storage is None:
        backend = JournalFileBackend(str(journal), lock_obj=_JournalLock(journal))
        return JournalStorage(backend)
    try:
        return optuna.storages.RDBStorage(storage)
    except Exception as error:  # of SQLAlchemy, or of the driver of a database
        reason = str(error).partition("\n")[0]
        raise usage_error(f"sweep: --storage {storage} cannot be opened: {reason}") from error


class _JournalLock(JournalFileSymlinkLock):
    """A lock that dies with its process; Optuna's own keeps all others waiting for 30 s.

    Args:
        journal: The file.
    """

    def __init__(self, journal: Path) -> None:
        super().__init__(str(journal))
        self._journal = journal
        self._held: Lock | None = None

    def acquire(self) -> bool:
        """Take the lock, and cut off what a full disk left of a line."""
        self._held = lock(self._journal.with_suffix(".lock"), on_wait=lambda: None)
        content = self._journal.read_bytes()
        if content and not content.endswith(b"\n"):
            os.truncate(self._journal, content.rfind(b"\n") + 1)
        return True

    def release(self) -> None:
        """Let others write."""
        if self._held is not None:
            self._held.release()
