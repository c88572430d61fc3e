"""What all data sets of still images share: cache, parts, loaders, augmentation and state."""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from lightning.pytorch.utilities import rank_zero_info
from numpy.typing import NDArray

from datamodules.base import FERDataModule
from datamodules.errors import BadSamples, DatasetError, OnBadSample, UserError
from datamodules.folds import FoldMode
from datamodules.index import Index
from datamodules.leak_guard import refuse_rows
from datamodules.loaders import Batch, BatchLoader, faces_to_float
from datamodules.parts import FaceParts
from datamodules.samplers import TrainSampler, WeightedTrainSampler
from datamodules.stills.augmentation import Augmentation
from datamodules.stills.pictures import FaceStream, find_inputs, input_name
from datamodules.stills.reader import FaceCrop, is_coloured, open_face_cache
from datamodules.stills.report import describe_faces
from datamodules.stills.split import split_faces
from datamodules.store.cache import Cache

Annotation = Literal["expressions", "action_units"]
ClassBalance = Literal["none", "loss", "sampler"]


class FaceDataModule(FERDataModule):
    """Still images of faces, decoded once, with parts in which nobody is twice.

    A subclass gives `name`, `write_embedded` and `read_index`.

    Args:
        root: Folder of the data set, or one or two levels above it; null draws embedded synthetic
            faces.
        cache_dir: Folder for the decoded faces and for the embedded ones.
        size: Side of the cached images, in pixels.
        colour: Whether to keep colours. Where none of the images looked at is coloured, grey is
            cached, which is the same in a third of the room.
        crop: none (the images are faces already) or detect (the largest face that OpenCV's cascade
            finds; an image without one is a bad sample). What is cut out is stretched to a square.
        expressions: Classes: basic7, basic6, all8 or ck7. Images of other expressions are left
            out and counted.
        annotated: Which images make the parts: those with an expression of the classes, or all, for
            a data set that knows the action units of each; those without an expression have the
            label -1 then.
        batch_size: Images a batch, on each device.
        val_share: Part of the training images that validates where the data set has no official
            validation part: class by class, whole people where they are known.
        fold: The fold to test; the one after it validates, the others train.
        folds: Number of subject-exclusive folds; null takes the official parts of the data set,
            and without those 10 folds, or one a subject where those are fewer.
        fold_mode: How folds are made: stratified, stride or loso.
        seed: Seed of folds, validation part, `train_limit` and the order of training.
        num_workers: Processes that read batches. A batch is one read from a memory map, so 0 is
            mostly enough.
        on_bad_sample: raise one error that names all unusable images, or skip and count them.
        augmentation: Random changes of training images, on the device; null for none.
        class_balance: none; loss (the method weighs classes by `class_counts`); sampler (classes
            come equally often: rare images are repeated, frequent ones wait for another epoch).
        train_limit: Train on so many images, class by class, and at least one of each; null takes
            all.
        unlabelled: Whether to train on images without a label too; their label is -1.
        input: What to predict on: an image, a video or a folder with such things at any depth.
        input_crop: detect (every face that OpenCV's cascade finds in a picture) or none (each
            picture of the input is a face already).

    Attributes:
        class_names: Names of the classes, in the order of their indices.
        source: `synthetic` for embedded faces, else the name of the root.
        manifest_hash: Fingerprint of images and labels; empty before the data were found.
        split_sizes: Images in train, val and test; empty before `setup`.
        train_subjects: Names of the people trained on; empty where nobody knows them.
        test_subjects: Names of the people tested; empty where nobody knows them.
        num_folds: Number of folds, 1 with official parts; 0 before `setup`.
        folds_hash: Fingerprint of the assignment to parts or folds; empty before `setup`.
        class_counts: Labelled training images of each class; empty before `setup`.
        subset_names: Names of the columns of `subsets` in test batches: the test lists of the data
            set, and `without_duplicates`, the images without a twin among the training images.

    Raises:
        UserError: If an argument is out of its range.
    """

    def __init__(
        self,
        root: str | None = None,
        cache_dir: str = ".cache",
        size: int = 112,
        colour: bool = True,
        crop: FaceCrop = "none",
        expressions: str = "basic7",
        annotated: Annotation = "expressions",
        batch_size: int = 64,
        val_share: float = 0.1,
        fold: int = 0,
        folds: int | None = None,
        fold_mode: FoldMode = "stratified",
        seed: int = 0,
        num_workers: int = 0,
        on_bad_sample: OnBadSample = "raise",
        augmentation: Augmentation | None = None,
        class_balance: ClassBalance = "none",
        train_limit: int | None = None,
        unlabelled: bool = False,
        input: str | None = None,
        input_crop: FaceCrop = "detect",
    ) -> None:
        super().__init__(
            root=root,
            cache_dir=cache_dir,
            size=size,
            batch_size=batch_size,
            fold=fold,
            folds=folds,
            fold_mode=fold_mode,
            seed=seed,
            expressions=expressions,
            num_workers=num_workers,
            on_bad_sample=on_bad_sample,
            input=input,
        )
        if not 0 < val_share < 1:
            raise UserError(f"data.val_share must be between 0 and 1, but is {val_share:g}.")
        if train_limit is not None and train_limit < 1:
            raise UserError(f"data.train_limit must be at least 1, but is {train_limit}.")
        self.crop: FaceCrop = crop
        self.annotated: Annotation = annotated
        self.val_share = val_share
        self.augmentation = augmentation
        self.class_balance: ClassBalance = class_balance
        self.train_limit = train_limit
        self.unlabelled = unlabelled
        self.input_crop: FaceCrop = input_crop
        self.class_counts: tuple[int, ...] = ()
        self.subset_names: tuple[str, ...] = ()
        self._colour = colour
        self._opened: FaceParts | None = None
        self._inputs: list[Path] = []

    def read_index(self, root: Path) -> Index:
        """Find the images below a root.

        Args:
            root: Folder of the data set, or some levels above it.

        Returns:
            What was found.

        Raises:
            DatasetError: If the data set is not there.
        """
        raise NotImplementedError

    def prepare_data(self) -> None:
        """Draw the embedded faces where there is no root, build the cache, look for duplicates."""
        if self._stage() != "predict" and self._open().has_labels():
            self._open().duplicates()

    def setup(self, stage: str | None = None) -> None:
        """Open the cache and split it.

        Args:
            stage: fit, validate, test or predict; all but the last where None.

        Raises:
            DatasetError: If the data set or the input is missing or damaged, a part that the
                stage needs is empty, or a class has no training image.
        """
        if stage == "predict":
            self._setup_input()
            return
        self._inputs = []
        parts = self._open()
        parts.check(stage)
        self.split_sizes = {name: len(rows) for name, rows in parts.rows.items()}
        self.train_subjects = parts.subjects["train"]
        self.test_subjects = parts.subjects["test"]
        self.num_folds = parts.split.num_folds
        self.folds_hash = parts.folds_hash
        self.class_counts = parts.class_counts("train")
        self.subset_names = parts.subset_names()
        if self._speaks():
            rank_zero_info(describe_faces(f"{self.name}, source {self.source}", parts))

    def train_dataloader(self) -> BatchLoader:
        """Batches of the training images, from where a resumed run stopped."""
        parts = self._open()
        samples = parts.dataset("train")
        placed = self._placed()
        if self.class_balance == "sampler":
            weights = parts.balancing_weights()
            sampler: TrainSampler = WeightedTrainSampler(weights, self.batch_size, **placed)
        else:
            sampler = TrainSampler(len(samples), self.batch_size, **placed)
        return self._loader(samples, batch_sampler=sampler)

    def val_dataloader(self) -> BatchLoader | list[BatchLoader]:
        """Validation images, each once; no loader where no image has a label."""
        parts = self._open()
        if parts.has_labels():
            return self._evaluation_loader(parts.dataset("val"))
        # Lightning asks whether that is meant; data without labels have nothing to validate.
        warnings.filterwarnings("ignore", "Total length of `list` across ranks is zero")
        return []

    def test_dataloader(self) -> BatchLoader:
        """Test images, each once."""
        return self._evaluation_loader(self._open().dataset("test"))

    def predict_dataloader(self) -> BatchLoader:
        """Faces of the input's pictures and videos, streamed."""
        rank, world = self._rank()
        stream = FaceStream(
            self._inputs,
            root=self._input_root(),
            size=self.size,
            colour=self._colour,
            crop=self.input_crop,
            batch_size=self.batch_size,
            on_bad_sample=self.on_bad_sample,
            rank=rank,
            world=world,
        )
        return BatchLoader(stream, batch_size=None)

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Turn bytes into float32 and, in training, augment the images; on the device."""
        if self.augmentation is None or self.trainer is None or not self.trainer.training:
            return faces_to_float(batch)
        # A step is seeded after this. The draws are a function of the batch, so that a resumed run
        # changes its images as an uninterrupted one does; kornia draws on the CPU.
        ids = batch["sample_id"].cpu().numpy()
        key = (self.seed, self.trainer.current_epoch, zlib.crc32(ids.tobytes()))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(np.random.SeedSequence(key).generate_state(1)[0]))
            return faces_to_float(batch, self.augmentation)

    def state_dict(self) -> dict[str, Any]:
        """Return who and what was trained on, and how far training has come.

        Returns:
            Plain types: those of `FERDataModule`, `names_hash` (which row is which image) and
            `train_rows` (a bit for each row, in hexadecimal).
        """
        state = super().state_dict()
        if self._opened is not None:
            state |= self._opened.trained_rows()
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up the place of a resumed run; refuse people and images that were trained on.

        Args:
            state_dict: As `state_dict` made it.

        Raises:
            DatasetError: If the checkpoint was trained on people or images held out here.
        """
        super().load_state_dict(state_dict)
        if self._stage() != "predict":
            parts = self._open()
            held_out = {part: parts.rows[part] for part in self._tested_parts()}
            refuse_rows(state_dict, parts.index.names_hash(), held_out)

    def held_out(self) -> Mapping[str, Sequence[str]]:
        """Name the people in val and in test; nobody where they are not known."""
        return self._open().subjects

    def sample_name(self, sample_id: int) -> str:
        """Name an image, or a face of the input by its picture, frame and number in that."""
        if self._inputs:
            return input_name(self._inputs, self._input_root(), sample_id)
        return self._open().index.names[sample_id]

    def faces(self, part: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Return the images of a part for those who take them all at once.

        Args:
            part: train, val or test.

        Returns:
            Memory map of all cached images, uint8 [N, H, W] grey or [N, H, W, 3] RGB, and the
            int64 rows of the part in it.
        """
        parts = self._open()
        return parts.cache.arrays["image"], parts.rows[part]

    def annotations(self, part: str) -> dict[str, NDArray[np.int64]]:
        """Return what is known of the images of a part, in the order of `faces`.

        Args:
            part: train, val or test.

        Returns:
            ``label`` [N], class index or -1; where the data set has them ``action_units`` [N, A]
            and ``subject`` [N], the number of the person.
        """
        parts = self._open()
        rows, index = parts.rows[part], parts.index
        known = {"label": parts.classes[rows]}
        if index.action_units is not None:
            known["action_units"] = index.action_units[rows].astype(np.int64)
        if index.subjects is not None:
            people = np.array(index.subjects)[rows]
            known["subject"] = np.unique(people, return_inverse=True)[1]
        return known

    def _open(self) -> FaceParts:
        """Read the index, split it and open the cache, once."""
        if self._opened is None:
            root = self.root or self.write_embedded(self.cache_dir / "synthetic")
            index = self.read_index(root)
            if len(index) == 0:
                if index.problems:
                    raise BadSamples([(str(path), reason) for path, reason in index.problems])
                raise DatasetError(f"{self.name} at {root} has no image.")
            # Parts first: a wrong fold should not cost the minutes that a cache takes.
            classes = index.classes(self.expressions)
            split = split_faces(
                index,
                self._strata(index, classes),
                val_share=self.val_share,
                fold=self.fold,
                folds=self.folds,
                fold_mode=self.fold_mode,
                seed=self.seed,
            )
            self._colour = self._colour and is_coloured(index)
            self._opened = FaceParts(
                index,
                classes,
                split,
                self._open_cache(index, root),
                expressions=self.expressions,
                unlabelled=self.unlabelled,
                train_limit=self.train_limit,
                seed=self.seed,
            )
            self.manifest_hash = index.manifest_hash()
            if index.is_synthetic(root):
                self.source = "synthetic"
        return self._opened

    def _strata(self, index: Index, classes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Say what is dealt out to the parts, class by class; -1 for what is in none of them."""
        if self.annotated == "expressions":
            return classes
        if index.action_units is None:
            raise DatasetError(
                f"{self.name} has no action units of its own: leave data.annotated at expressions."
            )
        return np.where(classes < 0, len(self.class_names), classes)

    def _open_cache(self, index: Index, root: Path) -> Cache:
        return open_face_cache(
            index,
            root,
            self.cache_dir,
            name=self.name,
            size=self.size,
            colour=self._colour,
            crop=self.crop,
            on_bad_sample=self.on_bad_sample,
        )

    def _setup_input(self) -> None:
        if self.input is None:
            raise UserError(
                "Prediction needs data.input: an image, a video, or a folder of such things."
            )
        self._inputs = find_inputs(self.input)
        self.source = self.input.resolve().name
        self.manifest_hash = ""
        rank_zero_info(f"{self.source}: {len(self._inputs)} images and videos to predict on")

    def _input_root(self) -> Path:
        root = self.input or Path()
        return root if root.is_dir() else root.parent
