"""What all data sets share: arguments, the way from files to batches, the state of a run."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn
from numpy.typing import NDArray

from datamodules.errors import BadSamples, DatasetError, OnBadSample, UserError, expected
from datamodules.files import given_path
from datamodules.folds.assignment import FoldMode, assign, check_folds
from datamodules.folds.leak_guard import LeakGuard
from datamodules.folds.parts import Parts
from datamodules.index import Index
from datamodules.inputs.module import InputDataModule
from datamodules.labels import class_names
from datamodules.loaders import Batch, BatchLoader, CacheDataset, batch_loader, next_batch, to_float
from datamodules.samplers import ShardSampler, TrainSampler
from datamodules.store.cache import Cache

_log = logging.getLogger(__name__)


class FERDataModule(InputDataModule):
    """A data set in parts that share nobody, computed once and read from a cache.

    The way of the data is index, folds, cache, parts, loaders. A subclass names its data set and
    gives `write_embedded`, `read_index` and what is particular to its kind of samples.

    Args:
        root: Folder of the data set, or one or two levels above it; null draws embedded synthetic
            faces.
        cache_dir: Folder for what is computed once, and for the embedded faces.
        expressions: Classes: basic7, basic6, all8 or ck7. Samples of other expressions are left
            out and counted.
        fold: The fold to test; the one after it validates, the others train.
        folds: Number of subject-exclusive folds; null takes the official parts or the own protocol
            of the data set where it has some, else 10, or one a subject where those are fewer.
        fold_mode: How folds are made: stratified, stride or loso.
        seed: Seed of the folds, of a validation part and of the order of training.
        num_workers: Processes that read batches. A batch is one read from memory maps, so 0 is
            mostly enough.
        on_device: Whether the cached arrays of each part lie on the trainer's device as a whole, so
            that no batch is copied to it: what suits a GPU and a set that fits it. The batches are
            the same.
        on_bad_sample: raise one error that names all unusable samples, or skip and count them.
        **kwargs: What to predict on, see `InputDataModule`.

    Attributes:
        class_names: Names of the classes, in the order of their indices.
        source: `synthetic` for embedded faces, else the name of the root.
        manifest_hash: Fingerprint of files and labels; empty before the data were found.
        content_sketch: Contents of some files, by which selections of one data set are recognised.
        split_sizes: Samples in train, val and test; empty before `setup`.
        train_subjects: Names of the people trained on; empty where nobody knows them.
        test_subjects: Names of the people tested; empty where nobody knows them.
        num_folds: Number of folds, 1 with official parts; 0 before `setup`.
        folds_hash: Fingerprint of the assignment to parts or folds; empty before `setup`.
        description: All that is known of the data, for a file; empty before `setup`.

    Raises:
        UserError: If an argument is out of its range.
    """

    name: str
    tree: str  # its folders, one entry a line, for who has no root and no embedded faces
    origin: str  # where it can be had
    val_share = 0.1  # of official training samples, where no official part validates

    def __init__(
        self,
        size: int,
        batch_size: int,
        root: str | None = None,
        cache_dir: str = ".cache",
        expressions: str = "basic7",
        fold: int = 0,
        folds: int | None = None,
        fold_mode: FoldMode = "stratified",
        seed: int = 0,
        num_workers: int = 0,
        on_device: bool = False,
        on_bad_sample: OnBadSample = "raise",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        for argument, count, least in (
            ("size", size, 1),
            ("batch_size", batch_size, 1),
            ("seed", seed, 0),
            ("num_workers", num_workers, 0),
        ):
            if count < least:
                raise UserError(f"data.{argument} must be at least {least}, but is {count}.")
        if on_device and num_workers:
            raise UserError(
                "With data.on_device no process reads batches: data.num_workers must be 0, but is "
                f"{num_workers}."
            )
        check_folds(fold, None if fold_mode == "loso" else folds)
        self.root = given_path("root", root)
        self.cache_dir = given_path("cache_dir", cache_dir) or Path()
        self.size = size
        self.batch_size = batch_size
        self.fold = fold
        self.folds = folds
        self.fold_mode: FoldMode = fold_mode
        self.seed = seed
        self.expressions = expressions
        self.num_workers = num_workers
        self.on_device = on_device
        self.on_bad_sample: OnBadSample = on_bad_sample

        self.class_names = class_names(expressions)
        self.source = "synthetic" if self.root is None else self.root.resolve().name
        self.content_sketch: list[str] = []
        self.split_sizes: dict[str, int] = {}
        self.train_subjects: list[str] = []
        self.test_subjects: list[str] = []
        self.num_folds = 0
        self.folds_hash = ""
        self._colour = True
        self._parts: Parts | None = None
        self._guard: LeakGuard | None = None
        self._position = (0, 0)
        self._predicts = False
        self.description = ""

    # ---- what a subclass gives

    def write_embedded(self, folder: Path) -> Path:
        """Draw the embedded faces in the layout of the data set, once, and return their root.

        Args:
            folder: Where embedded faces live.

        Raises:
            DatasetError: If the data set has no embedded faces, so that it needs a root.
        """
        raise DatasetError(
            f"{self.name} has no embedded faces: give its folder as --data.root. {expected(self)}"
        )

    def read_index(self, root: Path) -> Index:
        """Find the samples of the data set at a root, or some levels below it.

        Raises:
            DatasetError: If the data set is not there.
        """
        raise NotImplementedError

    def extended(self, index: Index) -> Index:
        """Return the index with what trains beside the samples of the data set."""
        return index

    def refuse_extension(self) -> None:
        """Make sure that what `extended` added was made of nobody who is held out.

        Raises:
            DatasetError: If it was.
        """

    def strata(self, index: Index) -> NDArray[np.int64]:
        """Return what is dealt out to the parts class by class, -1 for what is in none of them."""
        return index.classes(self.expressions)

    def open_cache(self, index: Index, root: Path) -> Cache:
        """Open the cache of an index, whose first rows show its samples; see `Parts`."""
        raise NotImplementedError

    def rows_to_use(self) -> dict[str, Any]:
        """Return further arguments of `Parts`, once the cache is open."""
        return {}

    def columns(self, part: str) -> dict[str, NDArray[Any]]:
        """Return what batches of a part hold besides the arrays of the cache and ``label``."""
        raise NotImplementedError

    def remarks(self) -> list[str]:
        """Return lines for the report that are particular to this kind of samples."""
        raise NotImplementedError

    def row_name(self, row: int) -> str:
        """Name a row of the cache."""
        return self._open().index.names[row]

    # ---- from files to batches

    def prepare_data(self) -> None:
        """Draw the embedded faces where there is no root, and build what is kept on disk."""
        if self._stage() != "predict":
            self._open_guard()

    def setup(self, stage: str | None = None) -> None:
        """Open the cache and split it.

        Args:
            stage: fit, validate, test or predict; all but the last where None.

        Raises:
            DatasetError: If the data set or the input is missing or damaged, or a part that the
                stage needs is empty.
        """
        self._predicts = stage == "predict"
        if self._predicts:
            self._setup_input()
            return
        parts = self._open()
        parts.check(stage)
        self.split_sizes = {name: len(rows) for name, rows in parts.rows.items()}
        self.train_subjects = parts.subjects["train"]
        self.test_subjects = parts.subjects["test"]
        self.num_folds = parts.assignment.num_folds
        self.folds_hash = parts.folds_hash
        self.content_sketch = self._open_guard().sketch()
        if self._rank()[0] == 0 and not self.description:
            title = f"{self.name}, source {self.source}"
            rank_zero_info(parts.summarize(title))
            self.description = parts.describe(title, self.remarks())

    def train_dataloader(self) -> BatchLoader:
        """Batches of the training part, from where a resumed run stopped."""
        samples = self.dataset("train")
        return self._loader(samples, batch_sampler=self.train_sampler(len(samples)))

    def val_dataloader(self) -> BatchLoader | list[BatchLoader]:
        """Samples of the validation part, each once."""
        return self._evaluation_loader("val")

    def test_dataloader(self) -> BatchLoader:
        """Samples of the test part, each once."""
        return self._evaluation_loader("test")

    def dataset(self, part: str) -> CacheDataset:
        """Make the data set of a part, train, val or test."""
        return self._open().dataset(part, self.columns(part))

    def train_sampler(self, length: int) -> TrainSampler:
        """Make the sampler of so many training samples."""
        return TrainSampler(length, self.batch_size, **self._sampler_arguments())

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Turn stored types into float32, on the device."""
        return to_float(batch)

    def sample_name(self, sample_id: int) -> str:
        """Name a sample, of the data set or of the input."""
        if self._predicts:
            return self._found.sample_name(sample_id)
        return self.row_name(sample_id)

    # ---- the state of a run

    def state_dict(self) -> dict[str, Any]:
        """Return who and what was trained on, and how far training has come.

        Returns:
            Tensors and plain values: `trained_on` (see `leak_guard`), `manifest_hash`, `source`,
            `class_names`, `colour` (whether faces were coloured), and the `epoch` and `batch` that
            come next.
        """
        epoch, batch = next_batch(self.trainer)
        return {
            "trained_on": [] if self._guard is None else self._guard.trained_on(),
            "manifest_hash": self.manifest_hash,
            "source": self.source,
            "class_names": list(self.class_names),
            "colour": self._colour,
            "epoch": epoch,
            "batch": batch,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue where the run of the checkpoint stopped, and refuse people that were trained on.

        Raises:
            DatasetError: If the checkpoint was trained on people or samples held out here.
        """
        stage = self._stage()
        if stage == "predict":
            self.show_as_trained(state_dict)
            drawn = " (drawn faces; of photographs it has seen none)"
            what = f"{self.trained_on}{drawn if self.trained_on == 'synthetic' else ''}"
            rank_zero_info(f"The model was trained on: {what}")
            return
        if stage == "fit":
            self._position = (int(state_dict["epoch"]), int(state_dict["batch"]))
            if state_dict["manifest_hash"] != self.manifest_hash:
                rank_zero_warn(
                    f"The data have changed since the checkpoint was written (it saw "
                    f"{state_dict['source']}, this is {self.source}); training goes on with these."
                )
        self.refuse_leak({"": state_dict})

    def show_as_trained(self, state_dict: Mapping[str, Any]) -> None:
        """Show faces to predict on as they were in training, coloured or grey."""
        self._colour = bool(state_dict["colour"])
        self.trained_on = str(state_dict["source"])

    def refuse_leak(self, checkpoint: Mapping[str, Any], what: str = "The checkpoint") -> None:
        """Refuse a checkpoint that was trained on whom this stage holds out.

        What was trained from it is remembered in the checkpoints of this run.

        Args:
            checkpoint: Its whole content; data modules of any class may have written it.
            what: What it is, as the beginning of a sentence, e.g. `--model.pretrained a.ckpt`.

        Raises:
            DatasetError: If it was trained on people or samples held out here.
        """
        stage = self._stage()
        if stage == "predict":
            return
        tested = {"validate": ("val",), "test": ("test",)}.get(stage or "", ("val", "test"))
        self._open_guard().refuse(checkpoint, tested, what)

    # ---- private

    def _open(self) -> Parts:
        """Read the index, split it and open the cache, once."""
        if self._parts is None:
            root = self.root or self.write_embedded(self.cache_dir / "synthetic")
            index = self.read_index(root)
            if self._rank()[0] == 0 and (unread := index.name_unread(root)):
                _log.warning("%s: %s", self.name, unread)
            if len(index) == 0:
                if index.problems:
                    raise BadSamples(index.problems)
                kind = "image" if index.recordings is None else "labelled sequence"
                raise DatasetError(f"{self.name} at {root} has no {kind}.")
            index = self.extended(index)
            # Parts first: a wrong fold should not cost the minutes that a cache takes.
            assignment = assign(
                index,
                self.strata(index),
                fold=self.fold,
                folds=self.folds,
                fold_mode=self.fold_mode,
                seed=self.seed,
                val_share=self.val_share,
            )
            cache = self.open_cache(index, root)
            self._parts = Parts(
                index, assignment, cache, expressions=self.expressions, **self.rows_to_use()
            )
            self.manifest_hash = index.manifest_hash()
            if index.is_synthetic(root):
                self.source = "synthetic"
        return self._parts

    def _open_guard(self) -> LeakGuard:
        if self._guard is None:
            parts = self._open()  # knows the source afterwards
            self._guard = LeakGuard(parts, self.source)
            self.refuse_extension()
        return self._guard

    def _stage(self) -> str | None:
        """What the trainer is at: fit, validate, test, predict, or None without a trainer."""
        fn = None if self.trainer is None else self.trainer.state.fn
        return None if fn is None else fn.value

    def _sampler_arguments(self) -> dict[str, Any]:
        """Arguments of the training sampler: this process, and where a resumed run stopped."""
        (epoch, start), self._position = self._position, (0, 0)
        rank, world = self._rank()
        return {"seed": self.seed, "rank": rank, "world": world, "epoch": epoch, "start": start}

    def _evaluation_loader(self, part: str) -> BatchLoader:
        samples = self.dataset(part)
        rank, world = self._rank()
        sampler = ShardSampler(len(samples), rank=rank, world=world)
        return self._loader(samples, sampler=sampler, batch_size=self.batch_size)

    def _loader(self, samples: CacheDataset, **sampling: Any) -> BatchLoader:
        device = torch.device("cpu") if self.trainer is None else self.trainer.strategy.root_device
        if self.on_device:
            samples.place(device)
        pinned = device.type == "cuda" and not self.on_device
        return batch_loader(samples, workers=self.num_workers, pin_memory=pinned, **sampling)
