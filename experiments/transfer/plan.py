"""Which steps a transfer has, what each of them runs, and which cells have none."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from callbacks.records.fold_record import SPLIT_FILE
from datamodules.store.replacing import read_json
from experiments.command.resolve import ResolvedExperiment
from experiments.jobs.context import StepContext, wandb_id
from experiments.jobs.step import Step, lightning_step, trained_weights
from experiments.run.folder import (
    RunFolder,
    config_hash,
    created,
    setting_hash,
    shared_config_hash,
)
from experiments.transfer.arguments import Options
from experiments.transfer.paper import paper_name

Sets = tuple[str, ...]
"""Names of the data sets pretrained on, trained on and tested on: those that a step comes to."""

_KINDS = ("pretrain", "train", "test")
# What differs from machine to machine, with the same results.
_MACHINE = ("cache_dir", "num_workers", "on_device")


@dataclass(frozen=True)
class DataSet:
    """A data set of the matrix.

    Args:
        name: Name of its config file.
        fit: Command line of `fit` on it.
        digest: Hash of the config that this comes to.
        labelled: Whether there is anything to classify.
        classes: Name of its set of classes.
        num_classes: Number of classes that the method is told, None where it asks for none.
        paper: Its name in the paper, None where the paper did not use it.
        config: The resolved config.
    """

    name: str
    fit: tuple[str, ...]
    digest: str
    labelled: bool
    classes: str | None
    num_classes: int | None
    paper: str | None
    config: Mapping[str, Any] = field(compare=False)

    @property
    def key(self) -> str:
        """Its part of a folder's name: another config of that name has another folder."""
        return f"{self.name}-{self.digest[:6]}"


class Plan:
    """The matrix pretrain x train x test over some data sets, and the steps that fill it.

    A step is named by its data sets: (a) learns features, (a, b) a classifier on them, and
    (a, b, c) is its test.

    Args:
        options: What `lightning transfer` was asked for.

    Attributes:
        experiment: Name of the experiment.
        config: Resolved config of the first data set; what differs between sets is in `sets`.
        shown: The same without values of the environment.
        folder: `runs/<experiment>/transfer-<hash6>`, one for each config of the method.
        group: Name that all steps share in W&B, those of other seeds too.
        sets: The data sets by name.

    Raises:
        CommandError: If a config is wrong.
    """

    def __init__(self, options: Options) -> None:
        self.sets: dict[str, DataSet] = {}
        self.config: dict[str, Any] = {}
        self.shown: dict[str, Any] = {}
        for data in options.data:
            fit = tuple(options.fit_on(data))
            experiment = ResolvedExperiment(fit)
            config = experiment.resolved
            self.sets[data.name] = _data_set(data.name, fit, config)
            if not self.config:
                self.config, self.shown = config, experiment.hide(config)
                self.experiment = experiment.experiment
                method = {**config, "data": {}, "model": {}}
                name = f"transfer-{shared_config_hash(method)[:6]}"
                self.folder = experiment.runs_dir / self.experiment / name
                self.group = f"{self.experiment}-transfer-{setting_hash(method)[:8]}"
        self._pretrain = options.pretrain

    @property
    def task(self) -> str:
        """What is recognised: emotions or action_units."""
        return str(self.config["model"].get("init_args", {}).get("task", "emotions"))

    def cells(self) -> Iterator[tuple[Sets, str | None]]:
        """Yield every cell, and why it can have no result; None where it can."""
        labelled = [data for data in self.sets.values() if data.labelled]
        for pretrained in self._pretrain:
            for trained in labelled:
                for tested in labelled:
                    differ = self.task == "emotions" and trained.classes != tested.classes
                    why = f"classes differ: {trained.classes} and {tested.classes}"
                    yield (pretrained, trained.name, tested.name), why if differ else None

    def steps(self) -> list[Step]:
        """Make the steps that fill all cells, each behind the one that it needs."""
        return [self._step(sets) for sets in self.wanted()]

    def wanted(self) -> list[Sets]:
        """List the data sets of all steps, in the order of the steps."""
        wanted: dict[Sets, None] = dict.fromkeys((name,) for name in self._pretrain)
        for cell, why in self.cells():
            if why is None:
                wanted |= dict.fromkeys([*self.needs(cell), cell])
        return sorted(wanted, key=len)

    def needs(self, sets: Sets) -> list[Sets]:
        """List the steps that one builds on, the nearest last.

        Pretraining fits the classifier of its own data as well, which need not be done again.
        """
        features, classifier = sets[:1], sets[:2]
        if len(sets) == 3 and len(set(classifier)) == 2:
            return [features, classifier]
        return [features] if len(sets) > 1 else []

    def run_folder(self, sets: Sets) -> RunFolder:
        """Return the run folder of a step; it need not exist yet."""
        path = Path(_KINDS[len(sets) - 1]) / "+".join(self.sets[name].key for name in sets)
        return RunFolder(self.folder / path)

    def split(self, sets: Sets) -> dict[str, Any] | None:
        """Return what the data of a step are, None before they were set up."""
        return read_json(self.run_folder(sets).path / SPLIT_FILE, folds=int)

    def _step(self, sets: Sets) -> Step:
        name, run = step_name(sets), self.run_folder(sets)

        def context() -> StepContext:
            return StepContext(
                folder=str(run.path),
                group=self.group,
                job=f"transfer-{_KINDS[len(sets) - 1]}",
                wandb_id=wandb_id(created(self.folder), name),
                digest=self._digest(sets),
            )

        return lightning_step(
            name,
            "test" if len(sets) == 3 else "fit",
            run,
            lambda: self._arguments(sets),
            context,
            tuple(map(step_name, self.needs(sets)[-1:])),
        )

    def _arguments(self, sets: Sets) -> list[str]:
        data = self.sets[sets[-1]]
        if len(sets) == 1:
            return [*data.fit]
        weights = trained_weights(self.run_folder(self.needs(sets)[-1]))
        if len(sets) == 2:
            return [*data.fit, f"--model.pretrained={weights}"]
        told = []
        if self.task == "action_units" and data.num_classes is not None:
            # Given by hand, so that it wins over that of the checkpoint: Action Units are the same
            # whatever the expressions of the data trained on.
            told = [f"--model.num_classes={data.num_classes}"]
        return [*data.fit, *told, f"--ckpt_path={weights}"]

    def _digest(self, sets: Sets) -> str:
        """Return the hash of the config that a step comes to, by which its process knows it."""
        config = dict(self.sets[sets[-1]].config)
        if len(sets) == 2:
            weights = str(trained_weights(self.run_folder(sets[:1])))
            arguments = {**config["model"].get("init_args", {}), "pretrained": weights}
            config["model"] = {**config["model"], "init_args": arguments}
        return shared_config_hash(config)


def step_name(sets: Sets) -> str:
    """Name a step by its data sets, such as "train kdef > rafd"."""
    return f"{_KINDS[len(sets) - 1]} {' > '.join(sets)}"


def _data_set(name: str, fit: tuple[str, ...], config: Mapping[str, Any]) -> DataSet:
    data = config["data"]
    arguments = data.get("init_args", {})
    decisive = {name: value for name, value in arguments.items() if name not in _MACHINE}
    module, _, class_name = str(data["class_path"]).rpartition(".")
    found = getattr(importlib.import_module(module), class_name)
    return DataSet(
        name=name,
        fit=fit,
        digest=config_hash({"class": class_name, "data": decisive, "model": config["model"]}),
        labelled=bool(getattr(found, "labelled", True)),
        classes=arguments.get("expressions"),
        num_classes=config["model"].get("init_args", {}).get("num_classes"),
        paper=paper_name(data),
        config=config,
    )
