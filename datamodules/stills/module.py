"""Still images of faces, as a DataModule."""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from datamodules.base import FERDataModule
from datamodules.errors import DatasetError, UserError
from datamodules.files import given_path
from datamodules.index import Index
from datamodules.index.generated import GeneratedFace, extend, made_of, read_generated
from datamodules.loaders import Batch, BatchLoader, to_float
from datamodules.samplers import TrainSampler, WeightedTrainSampler
from datamodules.stills.augmentation import Augmentation
from datamodules.stills.duplicates import Duplicates, open_duplicates
from datamodules.stills.pictures import FaceReading
from datamodules.stills.reader import FACE_MARGIN, FaceCrop, is_coloured, open_face_cache
from datamodules.store.cache import Cache

Annotation = Literal["expressions", "action_units"]
ClassBalance = Literal["none", "loss", "sampler"]

WITHOUT_DUPLICATES = "without_duplicates"


class FaceDataModule(FERDataModule):
    """Still images of faces, decoded once.

    Args:
        size: Side of the cached images, in pixels.
        batch_size: Images a batch, on each device.
        colour: Whether to keep colours. Where none of the images looked at is coloured, grey is
            cached, which is the same in a third of the room.
        crop: none (the images are faces already) or detect (the largest face that OpenCV's cascade
            finds; an image without one is a bad sample). What is cut out is stretched to a square.
        annotated: Which images make the parts: those with an expression of the classes, or all, for
            a data set that knows the action units of each; those without an expression have the
            label -1 then.
        val_share: Part of the training images that validates where the data set has no official
            validation part: class by class, whole people where they are known.
        augmentation: Random changes of training images, on the device; null for none.
        class_balance: none; loss (the method weighs classes by `class_counts`); sampler (classes
            come equally often: rare images are repeated, frequent ones wait for another epoch).
        train_limit: Train on so many images, class by class, and at least one of each; null takes
            all.
        unlabelled: Whether to train on images without a label too; their label is -1.
        input_crop: detect (every face that is found in a picture) or none (each picture of the
            input is a face already).
        extra: Folder of faces that `lightning generate` made, to train on too; they are in no
            validation or test part, and refused where they were made of someone who is.
        **kwargs: See `FERDataModule`.

    Attributes:
        class_counts: Labelled training images of each class; empty before `setup`.
        subset_names: Names of the columns of `subsets` in test batches: the test lists of the data
            set, and `without_duplicates`, the images without a twin among the training images.

    Raises:
        UserError: If an argument is out of its range.
    """

    takes = "an image, a video, a folder of such things, a camera or a stream"

    def __init__(
        self,
        size: int = 112,
        batch_size: int = 64,
        colour: bool = True,
        crop: FaceCrop = "none",
        annotated: Annotation = "expressions",
        val_share: float = 0.1,
        augmentation: Augmentation | None = None,
        class_balance: ClassBalance = "none",
        train_limit: int | None = None,
        unlabelled: bool = False,
        input_crop: FaceCrop = "detect",
        extra: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(size=size, batch_size=batch_size, **kwargs)
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
        self.extra = given_path("extra", extra)
        self.class_counts: tuple[int, ...] = ()
        self.subset_names: tuple[str, ...] = ()
        self._colour = colour
        self._duplicates: Duplicates | None = None
        self._generated: list[GeneratedFace] = []

    # ---- from files to batches

    def prepare_data(self) -> None:
        """Draw the embedded faces where there is no root, build the cache, look for duplicates."""
        super().prepare_data()
        if self._stage() != "predict" and self._open().has_labels():
            self._open_duplicates()

    def setup(self, stage: str | None = None) -> None:
        """Open the cache and split it; see `FERDataModule`.

        Raises:
            DatasetError: As there, or if a class has no training image.
        """
        super().setup(stage)
        if stage != "predict":
            parts = self._open()
            if stage == "fit":
                parts.check_classes()
            self.class_counts = parts.class_counts("train")
            self.subset_names = (*parts.index.subsets, WITHOUT_DUPLICATES)

    def extended(self, index: Index) -> Index:
        """Return the index with the generated faces of `extra` behind the data set's own."""
        if self.extra is None:
            return index
        self._generated = read_generated(self.extra)
        return extend(index, self.extra, self._generated, self.name)

    def refuse_extension(self) -> None:
        """Refuse generated faces that were made of someone who is held out."""
        if self.extra is not None:
            what = f"A model of data.extra {self.extra}"
            remedy = "Generate faces of training people, by motions of training people."
            made = made_of(self.extra, self._generated)
            self._open_guard().refuse(made, ("val", "test"), what, remedy)

    def strata(self, index: Index) -> NDArray[np.int64]:
        """Return what is dealt out to the parts class by class, -1 for what is in none of them."""
        classes = super().strata(index)
        classes[len(index) - len(self._generated) :] = -1
        if self.annotated == "expressions":
            return classes
        if index.action_units is None:
            raise DatasetError(
                f"{self.name} has no action units of its own: leave data.annotated at expressions."
            )
        return np.where(classes < 0, len(self.class_names), classes)

    def open_cache(self, index: Index, root: Path) -> Cache:
        """Open the cache of the images."""
        self._colour = self._colour and is_coloured(index)
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

    def rows_to_use(self) -> dict[str, Any]:
        """Return which images train."""
        limit = self.train_limit
        chosen = {"unlabelled": self.unlabelled, "train_limit": limit, "seed": self.seed}
        return {**chosen, "extra": len(self._generated)}

    def columns(self, part: str) -> dict[str, NDArray[Any]]:
        """Return ``votes`` and ``action_units`` where there are any, and ``subsets`` of a test."""
        index = self._open().index
        columns: dict[str, NDArray[Any]] = {}
        if (votes := index.class_votes(self.expressions)) is not None:
            columns["votes"] = votes
        if index.action_units is not None:
            columns["action_units"] = index.action_units.astype(np.float32)
        if part == "test":
            alone = ~self._open_duplicates().twins(self._open().rows["train"])
            columns["subsets"] = np.stack([*index.subsets.values(), alone], axis=1)
        return columns

    def train_sampler(self, length: int) -> TrainSampler:
        """Make the sampler of so many training images, balanced where that is asked for."""
        if self.class_balance == "sampler":
            weights = self._open().balancing_weights()
            return WeightedTrainSampler(weights, self.batch_size, **self._sampler_arguments())
        return super().train_sampler(length)

    def val_dataloader(self) -> BatchLoader | list[BatchLoader]:
        """Validation images, each once; no loader where no image has a label."""
        if self._open().has_labels():
            return super().val_dataloader()
        # Lightning asks whether that is meant; data without labels have nothing to validate.
        warnings.filterwarnings("ignore", "Total length of `list` across ranks is zero")
        return []

    def reading(self) -> FaceReading:
        """Return what reads the faces of an input as those of the data set were read."""
        return FaceReading(self.size, self._colour, self.input_crop)

    def on_before_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """In training, add the seed of the augmentation; on the device to read would be to wait."""
        if self.augmentation is not None and self.trainer is not None and self.trainer.training:
            # The draws are a function of the batch, so that a resumed run changes its images as an
            # uninterrupted one does.
            key = zlib.crc32(batch["sample_id"].numpy().tobytes())
            words = np.random.SeedSequence((self.seed, self.trainer.current_epoch, key))
            batch["augmentation_seed"] = int(words.generate_state(1)[0])
        return batch

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Turn bytes into float32 and, in training, augment the images; on the device."""
        seed = batch.pop("augmentation_seed", None)
        if seed is None:
            return to_float(batch)
        # A step is seeded after this; kornia draws on the CPU.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return to_float(batch, self.augmentation)

    def preprocessing(self) -> dict[str, Any]:
        """Return how a face of the input is cut out, resized and coloured."""
        cut = {
            "none": "nothing: the picture is a face",
            "detect": f"each face, found by {self.input_options.detector.name}",
        }
        return {
            "cut_out": cut[self.input_crop],
            "margin": FACE_MARGIN if self.input_crop == "detect" else None,  # sides of the box
            "resized": "stretched to the square input_size; area where it shrinks, else bilinear",
            "colour": "RGB" if self._colour else "grey, in three equal channels",
            "range": "[0, 1]",
        }

    def remarks(self) -> list[str]:
        """Say which limit holds, and how many held-out images have a twin in training."""
        parts = self._open()
        lines = [f"the images are cached {'coloured' if self._colour else 'grey'}"]
        labelled = int((parts.assignment.fold_of[parts.rows["train"]] >= 0).sum())
        if labelled < parts.usable_for_training:
            lines.append(
                f"data.train_limit: {labelled} of {parts.usable_for_training} labelled training "
                "images are used"
            )
        held_out = {name: rows for name in ("val", "test") if len(rows := parts.rows[name])}
        if held_out:
            found = self._open_duplicates()
            exact = found.twins(parts.rows["train"], near=False)
            near = found.twins(parts.rows["train"]) & ~exact
            twins = ", ".join(
                f"{int(exact[rows].sum())} of {name} exactly and {int(near[rows].sum())} nearly"
                for name, rows in held_out.items()
            )
            lines.append(
                f"{len(found.groups(near=False))} groups of equal images; of held-out images these "
                f"have a twin in train: {twins}; test scores are given without them too"
            )
        return lines

    def groups(self, sample_ids: Sequence[int]) -> dict[str, list[str]]:
        """Return what is known of the people of samples, such as their sex, to compare groups.

        Args:
            sample_ids: Numbers of the samples.

        Returns:
            The value of each sample by attribute, empty where it is not known; nothing where the
            data set says nothing of its people.
        """
        return {}

    def faces(self, part: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Return the images of a part, train, val or test, all at once.

        Returns:
            Memory map of all cached images, uint8 [N, H, W] grey or [N, H, W, 3] RGB, and the
            int64 rows of the part in it.
        """
        parts = self._open()
        return parts.cache.arrays["image"], parts.rows[part]

    def annotations(self, part: str) -> dict[str, NDArray[np.int64]]:
        """Return what is known of the images of a part, in the order of `faces`.

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
            known["subject"] = np.unique(np.array(index.subjects)[rows], return_inverse=True)[1]
        return known

    def _open_duplicates(self) -> Duplicates:
        """Look for equal and nearly equal images, once; what was found is kept on disk."""
        if self._duplicates is None:
            self._duplicates = open_duplicates(self._open().cache)
        return self._duplicates
