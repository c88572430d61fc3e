"""Several data sets of motion as one: trained on together, each tested on its own fold."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from itertools import zip_longest
from typing import Any

import numpy as np
import torch
from torch import Tensor

from datamodules.errors import DatasetError, UserError
from datamodules.folds.leak_guard import distinct
from datamodules.loaders import Batch, CacheDataset
from datamodules.motion.module import FlowDataModule
from datamodules.motion.training_fold import Motion

# Arguments that hold for all data sets: their samples share batches, classes and folds.
_SHARED = (
    *("size", "batch_size", "expressions", "fold", "folds", "fold_mode", "seed", "on_bad_sample"),
    *("flow", "strategies", "steps", "clip"),
)
_SUFFIX = "DataModule"
_PARTS = "parts"  # of a batch: that of each data set in it


class MixedFlowDataModule(FlowDataModule):
    """Data sets of flows, merged: training folds together, and each tested on its own fold.

    Each data set is split by itself, so that none shares a person between its parts; the samples of
    a part are those of all, each once. A test says every measure also of each data set alone.

    Args:
        sets: Arguments of each data set by the class of its data module, such as
            `{SNaP2DFeDataModule: {root: /data/SNaP}, CKPlusDataModule: {root: /data/CK+}}`; what
            has no root is drawn. Size, batch, classes, folds, seed, pairs and flow are those given
            here.
        **kwargs: See `FlowDataModule`.

    Raises:
        UserError: If there is no such data module, or one gets an argument that it does not take.

    Reference:
        eMotion-GAN, IV.B: training data of all data sets together, each tested by itself.
    """

    name = "mixed"
    tree = """
that of each data set, in its own root
"""
    origin = "the owners of each data set"

    def __init__(self, sets: dict[str, dict[str, Any]], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if self.root is not None:
            raise UserError(
                "data.root names one folder, but data.sets names several data sets: give each its "
                "own root there, such as {CKPlusDataModule: {root: /data/CK+}}."
            )
        if len(sets) < 2:
            raise UserError(f"data.sets must name two data sets at least, but names {list(sets)}.")
        shared = {name: getattr(self, name) for name in _SHARED}
        shared |= {"cache_dir": str(self.cache_dir), "crop": self.crop}
        self.members = {
            name.removesuffix(_SUFFIX): _make(name, shared, own or {}) for name, own in sets.items()
        }
        named = (name for member in self.members.values() for name in member.rivals)
        self.rivals = tuple(dict.fromkeys(named))

    # ---- from files to batches

    def prepare_data(self) -> None:
        """Draw embedded faces and build caches, data set by data set."""
        for member in self._attached():
            member.prepare_data()

    def setup(self, stage: str | None = None) -> None:
        """Split each data set, and say of all together what each says of itself.

        Raises:
            DatasetError: As `FlowDataModule`, or if two of them are selections of one.
            UserError: If they make different numbers of folds.
        """
        self._predicts = stage == "predict"
        if self._predicts:
            self._setup_input()
            return
        members = self._attached()
        for member in members:
            member.setup(stage)
        _refuse_overlap(self.members)
        folds = {name: member.num_folds for name, member in self.members.items()}
        if len(set(folds.values())) > 1:
            made = ", ".join(f"{name} {count}" for name, count in folds.items())
            raise UserError(
                f"The data sets make different numbers of folds ({made}): set data.folds to one "
                "that all can make."
            )
        self.num_folds = members[0].num_folds
        self.folds_hash = _digest([member.folds_hash for member in members])
        self.manifest_hash = _digest([member.manifest_hash for member in members])
        self.content_sketch = [text for member in members for text in member.content_sketch]
        self.split_sizes = {
            part: sum(member.split_sizes[part] for member in members)
            for part in members[0].split_sizes
        }
        self.train_subjects = self._named(lambda member: member.train_subjects)
        self.test_subjects = self._named(lambda member: member.test_subjects)
        self.source = " + ".join(dict.fromkeys(member.source for member in members))
        self.description = "\n\n".join(filter(None, (member.description for member in members)))
        self.subset_names = tuple(name.lower() for name in self.members)
        self._colour = any(member.coloured for member in members)
        # Numbers of samples and of people go on where those of the data set before end.
        self._first_row = np.cumsum([0, *(member.num_rows for member in members)])
        self._first_person = np.cumsum([0, *(member.num_people for member in members)])

    def dataset(self, part: str) -> CacheDataset:
        """Make the data set of a part, train, val or test."""
        return MixedDataset([member.dataset(part) for member in self.members.values()])

    def transfer_batch_to_device(
        self, batch: Batch, device: torch.device, dataloader_idx: int
    ) -> Batch:
        """Copy a batch to the device, data set by data set."""
        if _PARTS not in batch:
            return super().transfer_batch_to_device(batch, device, dataloader_idx)
        members = list(self.members.values())
        moved = {
            number: members[number].transfer_batch_to_device(part, device, dataloader_idx)
            for number, part in batch[_PARTS].items()
        }
        return {_PARTS: moved}

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Let each data set finish its samples, and put them together."""
        if _PARTS not in batch:
            return super().on_after_batch_transfer(batch, dataloader_idx)
        members = list(self.members.values())
        finished = []
        for number, part in batch[_PARTS].items():
            made = members[number].on_after_batch_transfer(part, dataloader_idx)
            made["sample_id"] = made["sample_id"] + int(self._first_row[number])
            made["subject"] = made["subject"] + int(self._first_person[number])
            made.pop("subsets", None)  # lists of one data set alone
            if self.trainer is not None and self.trainer.testing:
                member = torch.arange(len(members), device=made["label"].device) == number
                made["subsets"] = member.expand(len(made["label"]), -1)
                for name in self.rivals:  # not all data sets have frames of all
                    for like in ("flow", "apex"):
                        nothing = torch.full_like(made[like], torch.nan)
                        made.setdefault(f"rival_{like}_{name}", nothing)
            finished.append(made)
        return {name: torch.cat([part[name] for part in finished]) for name in finished[0]}

    def row_name(self, row: int) -> str:
        """Name a pair, after its data set."""
        number = int(np.searchsorted(self._first_row, row, side="right")) - 1
        name, member = list(self.members.items())[number]
        return f"{name}/{member.row_name(row - int(self._first_row[number]))}"

    # ---- what networks are fitted on before the first epoch

    def frontal_faces(
        self, epoch: int = 0, batch_size: int = 64
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the faces of the training folds in turn, see `FlowDataModule`."""
        return _in_turn([m.frontal_faces(epoch, batch_size) for m in self.members.values()])

    def frontal_flows(
        self, epoch: int = 0, batch_size: int = 64
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the frontal flows of the training folds in turn, see `FlowDataModule`."""
        return _in_turn([m.frontal_flows(epoch, batch_size) for m in self.members.values()])

    def flow_pairs(self, most: int = 2000) -> tuple[Tensor, Tensor, Tensor]:
        """Read flows of all training parts, of each as many as its share; see `FlowDataModule`."""
        members = list(self.members.values())
        total = sum(member.split_sizes["train"] for member in members)
        found = [m.flow_pairs(max(most * m.split_sizes["train"] // total, 1)) for m in members]
        people = [
            person + int(first)
            for (_, _, person), first in zip(found, self._first_person[:-1], strict=True)
        ]
        return (
            torch.cat([flow for flow, _, _ in found]),
            torch.cat([posed for _, posed, _ in found]),
            torch.cat(people),
        )

    def motions(self, expression: str) -> list[Motion]:
        """Return the motions of all training folds, see `FlowDataModule`."""
        members = self.members.values()
        return [motion for member in members for motion in member.motions(expression)]

    def average_face(self) -> Tensor:
        """Average the neutral faces of all training people, see `FlowDataModule`."""
        members = self.members.values()
        people = torch.tensor([len(member.train_subjects) for member in members]).float()
        faces = torch.stack([member.average_face() for member in members])
        return (faces * (people / people.sum()).view(-1, 1, 1, 1)).sum(dim=0)

    # ---- the state of a run

    def state_dict(self) -> dict[str, Any]:
        """Return who and what was trained on in all data sets, and how far training has come."""
        records = [record for m in self.members.values() for record in m.state_dict()["trained_on"]]
        return {**super().state_dict(), "trained_on": distinct(records)}

    def refuse_leak(self, checkpoint: Mapping[str, Any], what: str = "The checkpoint") -> None:
        """Refuse a checkpoint that was trained on whom this stage holds out of any data set."""
        for member in self._attached():
            member.refuse_leak(checkpoint, what)

    # ---- private

    def _attached(self) -> list[FlowDataModule]:
        """Return the data modules, which ask the trainer for its stage and process."""
        for member in self.members.values():
            member.trainer = self.trainer
        return list(self.members.values())

    def _named(self, people: Any) -> list[str]:
        """Name people after their data sets, of which two may have an S001."""
        return [f"{name}/{one}" for name, member in self.members.items() for one in people(member)]


class MixedDataset(CacheDataset):
    """Samples of several data sets, one after the other; a batch holds a part for each in it.

    Nothing of its own is cached: it only sends positions on.
    """

    def __init__(self, members: Sequence[CacheDataset]) -> None:
        self._members = members
        self._first = np.cumsum([0, *map(len, members)])

    def __len__(self) -> int:
        return int(self._first[-1])

    def __getitems__(self, indices: list[int]) -> Batch:
        """Read a batch of positions: a batch of each data set by its number."""
        positions = np.array(indices)
        member_of = np.searchsorted(self._first, positions, side="right") - 1
        return {
            _PARTS: {
                int(number): self._members[number].__getitems__(
                    (positions[member_of == number] - self._first[number]).tolist()
                )
                for number in np.unique(member_of)
            }
        }

    def place(self, device: torch.device) -> None:
        """Copy the arrays of all to a device, see `CacheDataset`."""
        for member in self._members:
            member.place(device)


def _make(name: str, shared: Mapping[str, Any], own: Mapping[str, Any]) -> FlowDataModule:
    """Make a data module by the name of its class.

    Raises:
        UserError: If there is none, or it does not take its arguments.
    """
    package = import_module("datamodules")
    known = [n for n in package.__all__ if n.endswith(_SUFFIX)]
    made = getattr(package, name) if name in known else None
    if (
        made is None
        or not issubclass(made, FlowDataModule)
        or issubclass(made, MixedFlowDataModule)
    ):
        raise UserError(
            f"data.sets names {name!r}; expected data modules of motion, such as "
            "SNaP2DFeDataModule or CKPlusDataModule."
        )
    if common := sorted(own.keys() & set(_SHARED)):
        raise UserError(
            f"data.sets gives {name} its own {', '.join(common)}, which must be the same for all: "
            f"give data.{common[0]} instead."
        )
    try:
        member: FlowDataModule = made(**{**shared, **own})
    except TypeError as error:
        raise UserError(f"data.sets cannot make {name} with {sorted(own)}: {error}.") from error
    return member


def _refuse_overlap(members: Mapping[str, FlowDataModule]) -> None:
    """Refuse two selections of one data set: a person might train in one and be tested in another.

    Raises:
        DatasetError: If two share a file.
    """
    seen: dict[str, str] = {}
    for name, member in members.items():
        for content in member.content_sketch:
            if (other := seen.setdefault(content, name)) != name:
                raise DatasetError(
                    f"{other} and {name} of data.sets share files, so they are of one data set, "
                    "and people trained on in one could be tested in the other: leave one out."
                )


def _digest(texts: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()


def _in_turn(batches: Sequence[Iterator[Any]]) -> Iterator[Any]:
    """Take a batch of each, then the next of each, until all have ended."""
    for several in zip_longest(*batches):
        yield from (batch for batch in several if batch is not None)
