"""What all data sets of optical flow share: cache, folds, loaders, state and report."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from lightning.pytorch.utilities import rank_zero_info
from numpy.typing import NDArray
from torch import Tensor

from datamodules.base import FERDataModule
from datamodules.errors import BadSamples, DatasetError, OnBadSample, UserError
from datamodules.folds import FoldMode, folds_hash
from datamodules.loaders import Batch, BatchLoader, to_float
from datamodules.motion.cache import PairCaches
from datamodules.motion.catalog import Catalog
from datamodules.motion.clips import Clip, ClipStream, clip_sample_name, find_clips
from datamodules.motion.flow import ALGORITHMS
from datamodules.motion.pairs import Extraction, PairReader
from datamodules.motion.parts import Opened, Parts
from datamodules.motion.report import report, some_of
from datamodules.recordings import SequenceIndex
from datamodules.samplers import TrainSampler
from datamodules.store.cache import Cache

Strategy = Literal["neutral_apex", "frame_to_frame"]


class FlowDataModule(FERDataModule):
    """Flows of frontal and posed faces, computed once, with subject-exclusive folds.

    A subclass names its data set, reads its index and draws its embedded faces.

    Args:
        root: Folder of the data set, or one or two levels above it; null draws embedded synthetic
            faces.
        cache_dir: Folder for flows and faces, computed once, and for the embedded faces.
        size: Side of the grid to which faces and flows are resized, in pixels.
        flow: Optical flow algorithm: farneback, dis, deepflow, tvl1 or pca.
        strategies: Pairs to train on: neutral_apex (first and apex frame), frame_to_frame (frames
            t and t + step). Validation and test always take neutral-apex pairs.
        steps: Distances in frames of the frame-to-frame pairs.
        batch_size: Pairs a batch, on each device.
        fold: The fold to test; the one after it validates, the others train.
        folds: Number of subject-exclusive folds; null takes the data set's own protocol where it
            has one, else 10, or one a subject where those are fewer.
        fold_mode: How folds are made: stratified, stride or loso.
        seed: Seed of the folds and of the order of training.
        expressions: Classes: basic7, basic6, all8 or ck7.
        num_workers: Processes that read batches. A batch is one read from memory maps, so 0 is
            mostly enough.
        crop: loose (a box around the face of the first frame, with room for head motion) or none
            (the frames are faces already).
        on_bad_sample: raise one error that names all unusable samples, or skip and count them.
        clip: Magnitude at which the method clips, in pixels of a 128x128 grid; for the report of
            magnitudes.
        input: What to predict on: a video, a folder of frames or a folder of such things.

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

    def __init__(
        self,
        root: str | None = None,
        cache_dir: str = ".cache",
        size: int = 128,
        flow: str = "farneback",
        strategies: tuple[Strategy, ...] = ("neutral_apex", "frame_to_frame"),
        steps: tuple[int, ...] = (1,),
        batch_size: int = 4,
        fold: int = 0,
        folds: int | None = None,
        fold_mode: FoldMode = "stratified",
        seed: int = 0,
        expressions: str = "basic7",
        num_workers: int = 0,
        crop: Literal["loose", "none"] = "loose",
        on_bad_sample: OnBadSample = "raise",
        clip: float = 10.0,
        input: str | None = None,
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
        for step in steps:
            if step < 1:
                raise UserError(f"data.steps must be at least 1, but is {step}.")
        if flow not in ALGORITHMS:
            raise UserError(f"data.flow must be one of {', '.join(ALGORITHMS)}, but is {flow!r}.")
        if not strategies:
            raise UserError("data.strategies must name neutral_apex, frame_to_frame or both.")
        self.flow = flow
        self.strategies = strategies
        self.steps = steps
        self.crop = crop
        self.clip = clip
        self._opened: Opened | None = None
        self._registered: Cache | None = None
        self._clips: list[Clip] = []

    def read_index(self, root: Path) -> SequenceIndex:
        """Find the sequences below a root.

        Args:
            root: Folder of the data set, or some levels above it.

        Returns:
            What was found.

        Raises:
            DatasetError: If the data set is not there.
        """
        raise NotImplementedError

    def pair_reader(self, catalog: Catalog, extraction: Extraction) -> PairReader:
        """Make what computes the rows of the cache."""
        return PairReader(catalog.sequences, catalog.pairs, extraction)

    def compute_registered(self, reader: PairReader, row: int) -> dict[str, NDArray[Any]]:
        """Compute the flow after a classical registration of the posed frames of a pair."""
        return reader.registered(row)

    def registered_parameters(self) -> dict[str, Any]:
        """Return what `compute_registered` depends on beside the files, of JSON types."""
        return {}

    def posed_flows(
        self, cache: Cache, rows: NDArray[np.int64]
    ) -> Iterator[NDArray[np.floating[Any]]] | None:
        """Yield posed flows [2, H, W] in pixels, for the report of magnitudes; None for none."""
        return (cache.arrays["posed_flow"][row] for row in rows)

    def prepare_data(self) -> None:
        """Draw the embedded faces where there is no root, and build the caches."""
        stage = self._stage()
        if stage != "predict":
            self._open()
        if stage == "test":
            self._open_registered()

    def setup(self, stage: str | None = None) -> None:
        """Open the caches and split them by persons.

        Args:
            stage: fit, validate, test or predict; all but the last where None.

        Raises:
            DatasetError: If the data set or the input is missing or damaged.
        """
        if stage == "predict":
            self._setup_input()
            return
        self._clips = []
        opened = self._open()
        self.split_sizes = {name: len(rows) for name, rows in opened.parts.rows.items()}
        if stage in (None, "test"):
            self._registered = self._open_registered()
            if self._registered is not None:
                self.split_sizes["test"] = int(self._registered.valid.sum())
        self.train_subjects = opened.parts.subjects["train"]
        self.test_subjects = opened.parts.subjects["test"]
        self.num_folds = int(opened.fold_of.max()) + 1
        self.folds_hash = folds_hash(opened.catalog.protocol(opened.fold_of))
        if self._speaks():
            flows = self.posed_flows(opened.cache, some_of(opened.parts.rows["train"]))
            clip = self.clip * self.size / 128
            report(f"{self.name}, source {self.source}", opened, flows, clip)

    def train_dataloader(self) -> BatchLoader:
        """Batches of the training pairs, from where a resumed run stopped."""
        pairs = self._open().parts.dataset("train")
        sampler = TrainSampler(len(pairs), self.batch_size, **self._placed())
        return self._loader(pairs, batch_sampler=sampler)

    def val_dataloader(self) -> BatchLoader:
        """Neutral-apex pairs of the validation fold, each once."""
        return self._evaluation_loader(self._open().parts.dataset("val"))

    def test_dataloader(self) -> BatchLoader:
        """Neutral-apex pairs of the test fold, each once."""
        return self._evaluation_loader(self._open().parts.dataset("test", self._registered))

    def predict_dataloader(self) -> BatchLoader:
        """Pairs (first frame, frame t) of the input's recordings, streamed."""
        rank, world = self._rank()
        stream = ClipStream(
            self._clips,
            self._extraction(self._colour),
            self.batch_size,
            self.on_bad_sample,
            rank=rank,
            world=world,
        )
        return BatchLoader(stream, batch_size=None)

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Turn stored types into float32, on the device."""
        return to_float(batch)

    def held_out(self) -> Mapping[str, Sequence[str]]:
        """Name the people in val and in test."""
        return self._open().parts.subjects

    def sample_name(self, sample_id: int) -> str:
        """Name a sample: its sequence, and its frames unless they are neutral and apex."""
        if self._clips:
            return clip_sample_name(self._clips, sample_id)
        return self._open().catalog.sample_name(sample_id)

    def frontal_faces(
        self, epoch: int = 0, batch_size: int = 64
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the frontal faces of the training fold, to fit an image classifier.

        Apex frames with the classes of their sequences, and neutral first frames where neutral is
        a class, see `choose_faces`.

        Args:
            epoch: The order is a pure function of this and the seed.
            batch_size: Faces a batch.

        Returns:
            Iterator of faces float32 [B, 3, H, W] in [0, 1] and classes int64 [B], on the CPU.
        """
        names = self.class_names
        neutral = names.index("neutral") if "neutral" in names else None
        return self._open().parts.frontal_faces(
            neutral, len(names), seed=(self.seed, epoch), batch_size=batch_size
        )

    def _extraction(self, colour: bool) -> Extraction:
        return Extraction(self.size, self.flow, self.crop, colour)

    def _open(self) -> Opened:
        """Read the index, split it and open the cache, once."""
        if self._opened is None:
            root = self.root or self.write_embedded(self.cache_dir / "synthetic")
            index = self.read_index(root)
            if not index.sequences:
                if index.problems:
                    raise BadSamples(index.problems)
                raise DatasetError(f"{self.name} at {root} has no labelled sequence.")
            steps = self.steps if "frame_to_frame" in self.strategies else ()
            catalog = Catalog.make(root, index, self.expressions, steps)
            # Folds first: a wrong one should not cost the minutes that a cache takes.
            fold_of = catalog.fold_of(self.folds, self.fold_mode, self.seed)
            split = catalog.split(fold_of, self.fold)
            extraction, label = self._extraction(catalog.colour), str(self.name).lower()
            reader = self.pair_reader(catalog, extraction)
            caches = PairCaches(
                catalog, extraction, self.cache_dir, label, self.on_bad_sample, reader
            )
            cache = caches.open_pairs()
            neutral_apex = "neutral_apex" in self.strategies
            parts = Parts(catalog, cache, split, neutral_apex=neutral_apex, steps=steps)
            self._opened = Opened(catalog, fold_of, split, caches, cache, parts)
            self._colour = catalog.colour
            self.manifest_hash = catalog.manifest_hash()
            if catalog.is_synthetic():
                self.source = "synthetic"
        return self._opened

    def _open_registered(self) -> Cache | None:
        caches, parts = self._open().caches, self._open().parts
        return caches.open_registered(
            parts.rows["test"],
            lambda row: self.compute_registered(caches.reader, row),
            self.registered_parameters(),
        )

    def _setup_input(self) -> None:
        if self.input is None:
            raise UserError(
                "Prediction needs data.input: a video, a folder of frames or a folder of such."
            )
        self._clips = find_clips(self.input, self._extraction(self._colour), self.on_bad_sample)
        self.source = self.input.resolve().name
        names = "\n".join(clip.name for clip in self._clips)
        self.manifest_hash = hashlib.sha256(names.encode()).hexdigest()
        rank_zero_info(f"{self.source}: {len(self._clips)} recordings to predict on")
