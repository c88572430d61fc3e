"""The run folder of one command and the checkpoint that it starts from."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from experiments.command.console import say
from experiments.command.errors import CommandError, usage_error
from experiments.command.usage import no_checkpoint, no_weights
from experiments.jobs.context import StepContext, wandb_id
from experiments.run.folder import (
    RunFolder,
    config_hash,
    create_run,
    run_of_checkpoint,
    runs,
    unfinished_run,
)
from experiments.run.processes import (
    Announcement,
    announce,
    find_announced,
    is_first_process,
    withdraw,
)
from experiments.run.wandb_run import WandbIdentity, close_wandb

# Seconds to wait for a fold's folder.
_PATIENCE = 30.0


class Session:
    """What a command opens at its start and closes at its end.

    Attributes:
        run: The run folder, once it is open.
        checkpoint: The checkpoint to start from, if any.
        resumes: Whether that checkpoint is the run's own, of the same config.
        digest: Hash of the config.
        fold: The place in a cross-validation, if this is a part of one.
    """

    run: RunFolder

    def __init__(self) -> None:
        self.checkpoint: Path | None = None
        self.resumes = False
        self.digest = ""
        self._runs_dir: Path | None = None
        self._trains = False
        self._made = False
        self.fold = StepContext.current()

    def identify(self, group: str, name: str, tags: Sequence[str]) -> WandbIdentity:
        """Return what the run is in W&B: what its first command called it.

        Args:
            group: Name that all seeds and folds of the setting share, unless this is a step.
            name: What to call the run.
            tags: Method, data, protocol.
        """
        if (known := self.run.status.get("wandb")) is not None:
            return WandbIdentity.from_plain(known)
        if (step := self.fold) is not None:
            made = WandbIdentity(step.wandb_id, step.group, step.job, name, tuple(tags))
        else:
            identity = wandb_id(*self.run.path.parts[-2:])
            job = "train" if self._trains else "eval"
            made = WandbIdentity(identity, group, job, name, tuple(tags))
        if is_first_process():
            self.run.update_status(wandb=asdict(made))
        return made

    def open(
        self,
        verb: str,
        *,
        experiment: str,
        runs_dir: Path,
        config: Mapping[str, Any],
        checkpoint: str | None,
        fresh: bool,
        weights: str | None = None,
    ) -> None:
        """Choose the run folder and the checkpoint to start from.

        Args:
            verb: `fit`, `validate`, `test` or `predict`.
            experiment: Name of the experiment.
            runs_dir: Folder of all runs.
            config: What decides the results.
            checkpoint: `best`, `last`, a path or None.
            fresh: Whether an unfinished run is left alone.
            weights: What the model starts from where there is no checkpoint, if anything.

        Raises:
            CommandError: If there is no such checkpoint, or none was named where one is needed.
        """
        self.digest = config_hash(config)
        self._trains = verb == "fit"
        if not is_first_process():
            told = find_announced(runs_dir)
            self.run = RunFolder(Path(told.folder))
            self.checkpoint = Path(told.checkpoint) if told.checkpoint else None
            self.resumes = self.checkpoint == self.run.last
            return
        folder = runs_dir / experiment
        if checkpoint is not None:
            self.checkpoint = find_checkpoint(checkpoint, folder)
        elif not self._trains and weights is None:
            raise usage_error(no_weights(verb))
        self._runs_dir = runs_dir
        if not self._trains:
            self._open_evaluation(folder, self.checkpoint or weights)
        elif self.fold is not None:
            self._open_fold(Path(self.fold.folder))
        else:
            self._open_training(folder, fresh)
        announce(
            runs_dir,
            Announcement(
                str(self.run.path), None if self.checkpoint is None else str(self.checkpoint)
            ),
        )

    def _open_training(self, folder: Path, fresh: bool) -> None:
        run = None if fresh else unfinished_run(folder, self.digest)
        if run is None:
            self.run, self._made = create_run(folder, self.digest), True
            say(f"Run folder: {self.run.path}")
            return
        self.run = run
        run.update_status(state="running")
        if run.last.exists():
            self.checkpoint, self.resumes = run.last, True
            say(
                f"Going on with the unfinished run {run.path} from its last checkpoint; "
                "--fresh starts a new one."
            )
        else:
            say(f"Starting again in {run.path}, which had no checkpoint yet.")

    def _open_fold(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)
        self.run = RunFolder(path)
        deadline = time.monotonic() + _PATIENCE
        while not self.run.try_lock():
            # The process of a cross-validation that was killed a moment ago may not be gone yet.
            if time.monotonic() > deadline:
                raise CommandError(f"Another process trains in {path}.")
            time.sleep(0.1)
        self.run.update_status(state="running", config_hash=self.digest)
        if self.run.last.exists():
            self.checkpoint, self.resumes = self.run.last, True

    def _open_evaluation(self, folder: Path, weights: Path | str | None) -> None:
        # A step of a transfer keeps its results apart from the weights that several others share.
        run = None if self.fold is None else _folder_of(self.fold)
        if self.fold is None and self.checkpoint is not None:
            run = run_of_checkpoint(self.checkpoint)
        if run is None:
            run, self._made = create_run(folder, self.digest), True
        self.run = run
        say(f"{'Weights' if self.checkpoint is None else 'Checkpoint'}: {weights}")

    def finish(self, *, epoch: int, step: int, validation: Mapping[str, float]) -> None:
        """Mark a training as finished, and note how far it came.

        Args:
            epoch: Epochs.
            step: Steps.
            validation: See `RunCheckpoints.validation`.
        """
        if is_first_process():
            self.run.update_status(
                state="finished", epoch=epoch, step=step, validation=dict(validation)
            )

    def stop(self) -> None:
        """Mark a training as one that the same command goes on with."""
        if is_first_process():
            self.run.update_status(state="stopped")

    def close(self, *, failed: bool = False) -> None:
        """Let go of the run, after an error or at the end."""
        close_wandb()
        if self._runs_dir is None:
            return
        withdraw(self._runs_dir)
        if not hasattr(self, "run"):
            return
        if self._trains and failed:
            self.run.update_status(state="stopped")
        elif self._made and not self._trains:
            self.run.update_status(state="finished")
        self.run.release()
        if self._made:
            self.run.remove_if_empty()

    def how_to_go_on(self) -> str:
        """Say what the same command does after this one was stopped."""
        run = getattr(self, "run", None)
        if run is None:
            return "Nothing was begun."
        if run.last.exists():
            return f"The same command goes on from {run.last}."
        return "There is no checkpoint yet; the same command starts again."


def _folder_of(fold: StepContext) -> RunFolder:
    path = Path(fold.folder)
    path.mkdir(parents=True, exist_ok=True)
    return RunFolder(path)


def find_checkpoint(name: str, folder: Path) -> Path:
    """Find `best`, `last` (of the newest run that has one) or a path.

    Raises:
        CommandError: If there is none.
    """
    if name in ("best", "last"):
        for run in runs(folder):
            path = run.checkpoints / f"{name}.ckpt"
            if path.is_file():
                return path
        raise CommandError(
            f"No run in {folder} has a {name}.ckpt yet: train one with lightning fit, or give "
            f"{'last' if name == 'best' else 'best'} or the path of a checkpoint."
        )
    if not Path(name).is_file():
        raise CommandError(no_checkpoint(name))
    return Path(name)
