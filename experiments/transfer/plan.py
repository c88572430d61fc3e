"""Which steps a transfer has, what each of them runs, and which cells have none."""

from __future__ import annotations

import copy
import importlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from callbacks.records.fold_report import SPLIT_FILE
from experiments.command.resolve import ResolvedExperiment
from experiments.crossval.schedule import checkpoint
from experiments.published import paper_name
from experiments.run.folder import RunFolder, config_hash
from experiments.run.membership import fold_free_hash
from experiments.transfer.arguments import Options

Kind = Literal["pretrain", "train", "test"]
Cell = tuple[str, str, str]
"""Names of the data sets pretrained on, trained on and tested on."""

# What differs from machine to machine, with the same results.
_MACHINE = ("cache_dir", "num_workers")


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


@dataclass(frozen=True)
class Step:
    """One process: a training or a test.

    Args:
        kind: pretrain (the features), train (the classifier on them) or test.
        sets: The data sets pretrained on, trained on and tested on, as far as it comes to.
        run: Its folder.
    """

    kind: Kind
    sets: tuple[DataSet, ...]
    run: RunFolder

    def __str__(self) -> str:
        return f"{self.kind} {' > '.join(data.name for data in self.sets)}"


class Plan:
    """The matrix pretrain x train x test over some data sets.

    Args:
        options: What `lightning transfer` was asked for.

    Attributes:
        experiment: Name of the experiment.
        config: Resolved config of the first data set; what differs between sets is in `sets`.
        folder: `runs/<experiment>/transfer-<hash6>`, one for each config of the method.
        sets: The data sets by name.

    Raises:
        CommandError: If a config is wrong.
    """

    def __init__(self, options: Options) -> None:
        self.sets: dict[str, DataSet] = {}
        self.config: dict[str, Any] = {}
        for data in options.data:
            fit = tuple(options.fit_on(data))
            experiment = ResolvedExperiment(fit)
            config = experiment.resolved
            self.sets[data.name] = _data_set(data.name, fit, config)
            if not self.config:
                self.config = config
                self.experiment = experiment.experiment
                method = fold_free_hash({**config, "data": {}, "model": {}})
                self.folder = experiment.runs_dir / self.experiment / f"transfer-{method[:6]}"
        self._pretrain = [self.sets[name] for name in options.pretrain]

    @property
    def task(self) -> str:
        """What is recognised: emotions or action_units."""
        return str(self.config["model"].get("init_args", {}).get("task", "emotions"))

    def cells(self) -> Iterator[tuple[Cell, str | None]]:
        """Yield every cell, and why it can have no result; None where it can."""
        for pretrained in self._pretrain:
            for trained in self._labelled():
                for tested in self._labelled():
                    cell = (pretrained.name, trained.name, tested.name)
                    differ = self.task == "emotions" and trained.classes != tested.classes
                    why = f"classes differ: {trained.classes} and {tested.classes}"
                    yield cell, why if differ else None

    def steps(self) -> list[Step]:
        """List what is to be done for all cells, each step behind the one that it needs."""
        wanted: dict[str, Step] = {}
        for pretrained in self._pretrain:
            wanted[str(self._step(pretrained))] = self._step(pretrained)
        for cell, why in self.cells():
            if why is None:
                sets = [self.sets[name] for name in cell]
                test = self._step(*sets)
                for step in (self.need(test), test):
                    if step is not None:
                        wanted.setdefault(str(step), step)
        order: list[Kind] = ["pretrain", "train", "test"]
        return sorted(wanted.values(), key=lambda step: order.index(step.kind))

    def test_of(self, cell: Cell) -> Step:
        """Return the step that gives a cell its result."""
        return self._step(*(self.sets[name] for name in cell))

    def need(self, step: Step) -> Step | None:
        """Return the step that another one starts from, None where it starts from nothing.

        Pretraining fits the classifier of its own data as well, which need not be done again.
        """
        if step.kind == "pretrain":
            return None
        before = step.sets[:-1]
        return self._step(*(before[:1] if len(set(before)) == 1 else before))

    def pretraining_of(self, step: Step) -> Step:
        """Return the step that learnt the features of another one."""
        return self._step(step.sets[0])

    def split(self, step: Step) -> dict[str, Any] | None:
        """Return what the data of a step are, None before they were set up."""
        try:
            split: dict[str, Any] = json.loads((step.run.path / SPLIT_FILE).read_text("utf-8"))
        except (FileNotFoundError, json.JSONDecodeError):
            return None
        return split

    def command(self, step: Step) -> list[str]:
        """Return the arguments of a step whose need is done."""
        arguments = list(step.sets[-1].fit)
        need = self.need(step)
        if need is None:
            return arguments
        weights = checkpoint(need.run)
        if step.kind == "train":
            return [*arguments, f"--model.pretrained={weights}"]
        told = step.sets[-1].num_classes
        if self.task == "action_units" and told is not None:
            # Given by hand, so that it wins over that of the checkpoint: Action Units are the same
            # whatever the expressions of the data trained on.
            arguments.append(f"--model.num_classes={told}")
        return [*arguments, f"--ckpt_path={weights}"]

    def digest(self, step: Step) -> str:
        """Return the hash of the config that a step comes to, by which its process knows it."""
        config = copy.deepcopy(dict(step.sets[-1].config))
        need = self.need(step)
        if step.kind == "train" and need is not None:
            config["model"].setdefault("init_args", {})["pretrained"] = str(checkpoint(need.run))
        return fold_free_hash(config)

    def _labelled(self) -> list[DataSet]:
        return [data for data in self.sets.values() if data.labelled]

    def _step(self, *sets: DataSet) -> Step:
        kinds: Sequence[Kind] = ("pretrain", "train", "test")
        kind = kinds[len(sets) - 1]
        path = Path(kind) / "+".join(data.key for data in sets)
        return Step(kind, sets, RunFolder(self.folder / path))


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
