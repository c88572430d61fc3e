"""What all data sets share: arguments, loaders, the place of a resumed run, refusal of leaks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningDataModule
from lightning.pytorch.utilities import rank_zero_warn

from datamodules.errors import OnBadSample, UserError
from datamodules.folds import FoldMode, check_folds
from datamodules.labels import class_names
from datamodules.leak_guard import next_batch, refuse_leak
from datamodules.loaders import BatchLoader, CacheDataset, batch_loader
from datamodules.samplers import ShardSampler


class FERDataModule(LightningDataModule):
    """A data set that is split by persons and picked up where a run stopped.

    A subclass names its data set and implements `write_embedded`, `held_out`, `prepare_data`,
    `setup` and the loaders.

    Args:
        root: Folder of the data set, or one or two levels above it; null draws embedded synthetic
            faces.
        cache_dir: Folder for caches and for the embedded faces.
        size: Side of the square images, in pixels.
        batch_size: Samples a batch, on each device.
        fold: The fold to test; the one after it validates, the others train.
        folds: Number of folds.
        fold_mode: How folds are made: stratified, stride or loso.
        seed: Seed of the folds and of the order of training.
        expressions: Classes: basic7, basic6, all8 or ck7.
        num_workers: Processes that read batches.
        on_bad_sample: raise one error that names all unusable samples, or skip and count them.
        input: What to predict on.

    Attributes:
        class_names: Names of the classes, in the order of their indices.
        source: `synthetic` for embedded faces, else the name of the root.
        manifest_hash: Fingerprint of files and labels; empty before the data were found.
        split_sizes: Samples in train, val and test; empty before `setup`.
        train_subjects: Names of the people trained on; empty before `setup`.
        test_subjects: Names of the people tested; empty before `setup`.
        num_folds: Number of folds; 0 before `setup`.
        folds_hash: Fingerprint of the assignment to folds; empty before `setup`.

    Raises:
        UserError: If an argument is out of its range.
    """

    name: str

    def __init__(
        self,
        *,
        root: str | None,
        cache_dir: str,
        size: int,
        batch_size: int,
        fold: int,
        folds: int | None,
        fold_mode: FoldMode,
        seed: int,
        expressions: str,
        num_workers: int,
        on_bad_sample: OnBadSample,
        input: str | None,
    ) -> None:
        super().__init__()
        for argument, count in (("size", size), ("batch_size", batch_size)):
            if count < 1:
                raise UserError(f"data.{argument} must be at least 1, but is {count}.")
        check_folds(fold, None if fold_mode == "loso" else folds)
        self.root = None if root is None else Path(root).expanduser()
        self.cache_dir = Path(cache_dir).expanduser()
        self.size = size
        self.batch_size = batch_size
        self.fold = fold
        self.folds = folds
        self.fold_mode: FoldMode = fold_mode
        self.seed = seed
        self.expressions = expressions
        self.num_workers = num_workers
        self.on_bad_sample: OnBadSample = on_bad_sample
        self.input = None if input is None else Path(input).expanduser()

        self.class_names = class_names(expressions)
        self.source = "synthetic" if self.root is None else self.root.resolve().name
        self.manifest_hash = ""
        self.split_sizes: dict[str, int] = {}
        self.train_subjects: list[str] = []
        self.test_subjects: list[str] = []
        self.num_folds = 0
        self.folds_hash = ""
        self._colour = True
        self._position = (0, 0)
        self._said = False

    def write_embedded(self, folder: Path) -> Path:
        """Draw the embedded faces in the layout of the data set, once.

        Args:
            folder: Where embedded faces live.

        Returns:
            The root of the tree.
        """
        raise NotImplementedError

    def held_out(self) -> Mapping[str, Sequence[str]]:
        """Name the people in val and in test."""
        raise NotImplementedError

    def state_dict(self) -> dict[str, Any]:
        """Return who was trained on, and how far training has come.

        Returns:
            Plain types: `train_subjects`, `manifest_hash`, `source`, `colour` (whether faces were
            coloured), and `epoch` and `batch`, the place of the batch that comes next.
        """
        epoch, batch = next_batch(self.trainer)
        return {
            "train_subjects": list(self.train_subjects),
            "manifest_hash": self.manifest_hash,
            "source": self.source,
            "colour": self._colour,
            "epoch": epoch,
            "batch": batch,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up the place of a resumed run, and refuse people that were trained on.

        Args:
            state_dict: As `state_dict` made it.

        Raises:
            DatasetError: If the checkpoint was trained on people who are held out here.
        """
        stage = self._stage()
        if stage == "predict":
            self._colour = bool(state_dict["colour"])  # show the faces as they were in training
            return
        if stage == "fit":
            self._position = (int(state_dict["epoch"]), int(state_dict["batch"]))
            if state_dict["manifest_hash"] != self.manifest_hash:
                rank_zero_warn(
                    f"The data have changed since the checkpoint was written (it saw "
                    f"{state_dict['source']}, this is {self.source}); training goes on with these."
                )
        people = self.held_out()
        refuse_leak(state_dict, self.source, {part: people[part] for part in self._tested_parts()})

    def _tested_parts(self) -> tuple[str, ...]:
        """Name the parts that this stage holds out."""
        return {"validate": ("val",), "test": ("test",)}.get(self._stage() or "", ("val", "test"))

    def _stage(self) -> str | None:
        """What the trainer is at: fit, validate, test, predict, or None without a trainer."""
        fn = None if self.trainer is None else self.trainer.state.fn
        return None if fn is None else fn.value

    def _rank(self) -> tuple[int, int]:
        if self.trainer is None:
            return 0, 1
        return self.trainer.global_rank, self.trainer.world_size

    def _placed(self) -> dict[str, Any]:
        """Arguments of the training sampler: this process, and where a resumed run stopped."""
        (epoch, start), self._position = self._position, (0, 0)
        rank, world = self._rank()
        return {"seed": self.seed, "rank": rank, "world": world, "epoch": epoch, "start": start}

    def _evaluation_loader(self, samples: CacheDataset) -> BatchLoader:
        rank, world = self._rank()
        sampler = ShardSampler(len(samples), rank=rank, world=world)
        return self._loader(samples, sampler=sampler, batch_size=self.batch_size)

    def _loader(self, samples: CacheDataset, **sampling: Any) -> BatchLoader:
        on_gpu = self.trainer is not None and self.trainer.strategy.root_device.type == "cuda"
        return batch_loader(samples, workers=self.num_workers, pin_memory=on_gpu, **sampling)

    def _speaks(self) -> bool:
        """Tell, once, that this process is the one to report what the data are."""
        speaks = self._rank()[0] == 0 and not self._said
        self._said = self._said or speaks
        return speaks
