"""Where a cross-validation lives: `runs/<experiment>/crossval-<hash6>/fold_00 ...`."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from types import NoneType
from typing import Any

from callbacks.records.fold_record import SPLIT_FILE
from datamodules.store.lock import lock
from datamodules.store.replacing import read_json, write_json
from experiments.command.errors import CommandError
from experiments.jobs.context import wandb_id
from experiments.run.folder import RunFolder

DESCRIPTION_FILE = "crossval.json"


@dataclass(frozen=True)
class Description:
    """What is cross-validated.

    Args:
        experiment: Name of the experiment.
        config_hash: Hash of the config that all folds share.
        model: Name of the method's class.
        data: Name of the data module's class.
        seed: Seed of every fold.
        model_arguments: Resolved arguments of the method.
        data_arguments: Those of the data, but the paths.
        trainer_arguments: What of the trainer decides the result, and the names of its callbacks.
        headline: Conditions whose accuracy is the result, see `summary.headline_conditions`.
        arguments: Command line of `lightning crossval` as far as it decides the results.
        setting_hash: Hash of the config that all seeds share too.
        created: When the folder was made; with the rest it makes the W&B ids.
    """

    experiment: str
    config_hash: str
    model: str
    data: str
    seed: int
    model_arguments: dict[str, Any]
    data_arguments: dict[str, Any]
    trainer_arguments: dict[str, Any]
    headline: tuple[str, ...] | None
    arguments: tuple[str, ...]
    setting_hash: str
    created: str = ""

    @property
    def group(self) -> str:
        """Name that all seeds and folds of the setting share in W&B."""
        return f"{self.experiment}-{self.setting_hash[:8]}"

    def wandb_id(self, part: str) -> str:
        """Make the id by which every start of a part is the same W&B run.

        Args:
            part: Name of the fold's folder, or `summary`.
        """
        name = f"{self.experiment}-crossval-{self.config_hash[:6]}"
        return wandb_id(name, self.seed, self.created, part)


class CrossvalFolder:
    """The folder of a cross-validation.

    Configs have folders of their own, so that the trials of a sweep do not write over each other.

    Args:
        path: The folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def fold(self, number: int) -> RunFolder:
        """Return the run folder of a fold; it need not exist yet."""
        return RunFolder(self.path / f"fold_{number:02d}")

    def started(self) -> list[int]:
        """List the folds that have a folder."""
        names = (path.name.removeprefix("fold_") for path in self.path.glob("fold_*"))
        return sorted(int(name) for name in names if name.isdigit())

    def description(self) -> Description:
        """Read what is cross-validated here.

        Raises:
            CommandError: If this is no folder of a cross-validation.
        """
        values = _read_description(self.path)
        if values is None:
            file = self.path / DESCRIPTION_FILE
            raise CommandError(
                f"{file} is damaged: the same command without --summarize writes it anew."
                if file.exists()
                else f"{self.path} is no cross-validation: give a folder like "
                "runs/<experiment>/crossval-<hash>."
            )
        for name in ("arguments", "headline"):
            values[name] = None if values[name] is None else tuple(map(str, values[name]))
        return Description(**{field.name: values[field.name] for field in fields(Description)})

    def num_folds(self) -> int | None:
        """Return the number of folds, None before the data of any fold were set up."""
        for number in self.started():
            if split := self.split(number):
                return int(split["folds"])
        return None

    def split(self, number: int) -> dict[str, Any] | None:
        """Return what the data of a fold are, None before they were set up."""
        file = self.fold(number).path / SPLIT_FILE
        return read_json(file, folds=int, folds_hash=str, manifest_hash=str)


def _read_description(folder: Path) -> dict[str, Any] | None:
    return read_json(
        folder / DESCRIPTION_FILE,
        experiment=str,
        config_hash=str,
        model=str,
        data=str,
        seed=int,
        model_arguments=dict,
        data_arguments=dict,
        trainer_arguments=dict,
        headline=(list, NoneType),
        arguments=list,
        setting_hash=str,
        created=str,
    )


def find_folder(runs_dir: Path, experiment: str, config_hash: str) -> CrossvalFolder:
    """Name the folder of a config; it need not exist yet."""
    return CrossvalFolder(runs_dir / experiment / f"crossval-{config_hash[:6]}")


def open_folder(runs_dir: Path, description: Description) -> CrossvalFolder:
    """Find the folder of a config, or make it, which sets `Description.created`.

    Raises:
        CommandError: If it is that of another config whose hash begins alike.
    """
    folder = find_folder(runs_dir, description.experiment, description.config_hash)
    file = folder.path / DESCRIPTION_FILE
    # Many jobs of a cluster may begin at once; one description holds.
    with lock(folder.path / ".description.lock", on_wait=lambda: None):
        if _read_description(folder.path) is None:
            write_json(file, asdict(replace(description, created=f"{time.time():.6f}")))
    if folder.description().config_hash != description.config_hash:
        raise CommandError(f"{folder.path} holds another config: move it away.")
    return folder
