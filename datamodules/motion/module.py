"""Optical flow between pairs of frames, as a DataModule."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from datamodules.base import FERDataModule
from datamodules.batch import REFERENCE_SIDE
from datamodules.detectors import open_detector
from datamodules.errors import UserError
from datamodules.faces import LOOSE_MARGIN
from datamodules.files import given_path
from datamodules.index import Index
from datamodules.inputs.given import given_neutral
from datamodules.loaders import Batch, CacheDataset
from datamodules.motion import training_fold
from datamodules.motion.cache import PairCaches, is_coloured, report_magnitudes, some_of
from datamodules.motion.clips import MotionReading
from datamodules.motion.extraction import Extraction
from datamodules.motion.flow import ALGORITHMS
from datamodules.motion.pairs import PairReader, Pairs, make_pairs
from datamodules.motion.targets import AVERAGE, AVERAGE_NAME, Target, read_target, read_targets
from datamodules.motion.training_fold import Motion
from datamodules.store.cache import Cache

Strategy = Literal["neutral_apex", "frame_to_frame"]


class FlowDataModule(FERDataModule):
    """Flows of frontal and posed faces between pairs of frames.

    Args:
        size: Side of the grid to which faces and flows are resized, in pixels.
        batch_size: Pairs a batch, on each device.
        flow: Optical flow algorithm: farneback, dis, deepflow, tvl1 or pca.
        strategies: Pairs to train on: neutral_apex (first and apex frame), frame_to_frame (frames
            t and t + step). Validation and test always take neutral-apex pairs.
        steps: Distances in frames of the frame-to-frame pairs.
        crop: loose (a box around the face of the first frame, with room for head motion) or none
            (the frames are faces already).
        clip: Magnitude at which the method clips, in pixels of a 128x128 grid; for the report of
            magnitudes.
        neutral: The neutral face of recordings to predict on: the number of a frame, from 0 as in
            their rows, where flows start; null or first for the first frame. A picture is, of
            methods that only read motion, the same person's neutral face, where flows start. A
            method that animates faces puts the motion from the first frame on onto it, as onto all
            pictures of a folder, or with average onto the average face of its training people.
        **kwargs: See `FERDataModule`.

    Raises:
        UserError: If an argument is out of its range.
    """

    takes = "a video, a folder of frames, a folder of such, a camera or a stream"

    def __init__(
        self,
        size: int = 128,
        batch_size: int = 4,
        flow: str = "farneback",
        strategies: tuple[Strategy, ...] = ("neutral_apex", "frame_to_frame"),
        steps: tuple[int, ...] = (1,),
        crop: Literal["loose", "none"] = "loose",
        clip: float = 10.0,
        neutral: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(size=size, batch_size=batch_size, **kwargs)
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
        self.neutral = neutral
        self._pairs: Pairs
        self._caches: PairCaches
        self._registered: Cache | None = None
        self._rivals: dict[str, Cache] = {}
        self.rivals: tuple[str, ...] = ()
        self.subset_names: tuple[str, ...] = ()
        self.targets: dict[str, Target | None] = {}

    # ---- what a subclass may change

    def pair_reader(
        self, index: Index, root: Path, pairs: Pairs, extraction: Extraction
    ) -> PairReader:
        """Make what computes the rows of the cache."""
        return PairReader(index, pairs, extraction)

    def compute_registered(self, reader: PairReader, row: int) -> dict[str, NDArray[Any]]:
        """Compute the flow after a classical registration of the posed frames of a pair."""
        return reader.registered(row)

    def posing_parameters(self) -> dict[str, Any]:
        """Return what posed and registered flows depend on beside the files, of JSON types."""
        return {}

    def posed_flows(
        self, arrays: Mapping[str, NDArray[Any]], rows: NDArray[np.int64]
    ) -> Iterator[NDArray[np.floating[Any]]] | None:
        """Yield posed flows [2, H, W] in pixels, for the report of magnitudes; None for none."""
        return (arrays["posed_flow"][row] for row in rows)

    # ---- from files to batches

    def prepare_data(self) -> None:
        """Draw the embedded faces where there is no root, and build the caches."""
        super().prepare_data()
        if self._stage() == "test":
            self._open().check("test")
            self.open_registered()

    def setup(self, stage: str | None = None) -> None:
        """Open the caches and split them by persons; see `FERDataModule`."""
        super().setup(stage)
        if self._parts is not None:
            self.subset_names = tuple(self._parts.index.subsets)
        if stage in (None, "test") and self.split_sizes["test"]:
            self._registered = self.open_registered()
            self.split_sizes["test"] = len(self.dataset("test"))

    def frontalized_by_others(self, index: Index, root: Path) -> dict[str, tuple[Index, Path]]:
        """Return the sequences as other methods frontalised them, and their folders, by method.

        Raises:
            DatasetError: If frames of these are missing or of another size.
        """
        return {}

    def open_cache(self, index: Index, root: Path) -> Cache:
        """Open the cache of all pairs; those from neutral to apex, one a sequence, come first.

        Then come those of the frames that other methods frontalised, a cache a method.
        """
        rivals = self.frontalized_by_others(index, root)  # found wanting before flows are computed
        self._colour = is_coloured(index)
        self._pairs = make_pairs(index.frame_counts, self._trained_steps())
        reader = self.pair_reader(index, root, self._pairs, self._extraction())
        label = self.name.lower()
        self._caches = PairCaches(index, root, reader, self.cache_dir, label, self.on_bad_sample)
        cache = self._caches.open_pairs()
        for name, (rival, folder) in rivals.items():
            reader = PairReader(rival, make_pairs(rival.frame_counts, ()), self._extraction())
            named = f"{label}-{name}"
            caches = PairCaches(rival, folder, reader, self.cache_dir, named, self.on_bad_sample)
            self._rivals[name] = caches.open_pairs()
        return cache

    def rows_to_use(self) -> dict[str, Any]:
        """Return which sequence each pair is of, and which pairs the strategies train on."""
        pairs = self._pairs
        wanted = np.isin(pairs.second - pairs.first, self._trained_steps())
        if "neutral_apex" in self.strategies:
            wanted |= pairs.is_neutral_apex
        return {"sample_of": pairs.sequence, "trains": wanted}

    def columns(self, part: str) -> dict[str, NDArray[Any]]:
        """Return ``subject`` and ``is_neutral_apex`` of each pair; in test also ``subsets``."""
        index, sequence = self._open().index, self._pairs.sequence
        columns: dict[str, NDArray[Any]] = {
            "subject": index.person_of[sequence],
            "is_neutral_apex": self._pairs.is_neutral_apex,
        }
        if part == "test" and index.subsets:
            columns["subsets"] = np.stack([*index.subsets.values()], axis=1)[sequence]
        return columns

    def dataset(self, part: str) -> CacheDataset:
        """Make the data set of a part, train, val or test; test has what only it compares."""
        caches = {"registered": self._registered, "rivals": self._rivals} if part == "test" else {}
        return self._open().dataset(part, self.columns(part), **caches)

    def reading(self) -> MotionReading:
        """Return what reads the recordings of an input as those of the data set were read."""
        return MotionReading(self._extraction())

    @property
    def coloured(self) -> bool:
        """Whether faces are RGB rather than grey."""
        return self._colour

    @property
    def num_rows(self) -> int:
        """Pairs of all parts."""
        return len(self._pairs.sequence)

    @property
    def num_people(self) -> int:
        """People of all parts."""
        return len(self._open().index.people)

    def neutral_face(self) -> int | Path | None:
        """Return which frame of each recording, or which picture, flows start from."""
        return given_neutral(None if self._animates_others() else self.neutral)

    def _setup_input(self) -> None:
        """Find what to predict on, and the faces, by their names, to put its motion onto."""
        if self._animates_others():
            path = given_path("neutral", self.neutral)
            if self.neutral == AVERAGE or path is None:
                self.targets = {AVERAGE_NAME: None}
            else:
                detector = open_detector(self.detector)
                self.targets = {**read_targets(path, self._extraction(), detector)}
        super()._setup_input()

    def _animates_others(self) -> bool:
        """Tell whether the method of the run puts motion onto the face that `neutral` names."""
        given, method = self.neutral, self.trainer and self.trainer.lightning_module
        if given is None or not getattr(method, "animates", False):
            return False
        return given == AVERAGE or Path(given).expanduser().exists()

    def open_registered(self) -> Cache | None:
        """Open the cache of registered flows and posed faces of the test pairs; None for none."""
        return self._caches.open_registered(
            self._open().rows["test"],
            lambda row: self.compute_registered(self._caches.reader, row),
            self.posing_parameters(),
        )

    def transfer_batch_to_device(
        self, batch: Batch, device: torch.device, dataloader_idx: int
    ) -> Batch:
        """Copy a batch to the device, except what steps branch on."""
        moved: Batch = super().transfer_batch_to_device(batch, device, dataloader_idx)
        return moved | {name: batch[name] for name in ("is_neutral_apex",) if name in batch}

    def preprocessing(self) -> dict[str, Any]:
        """Return how the faces of a recording are cut out, and the flow between them."""
        cut = {
            "none": "nothing: the frames are faces",
            "loose": "the largest face of the first frame, found by "
            f"{self.input_options.detector.name}, in all frames",
        }
        return {
            "cut_out": cut[self.crop],
            "margin": LOOSE_MARGIN if self.crop == "loose" else None,  # sides of the box
            "resized": "stretched to the square input_size, faces and flow, which is scaled by it",
            "colour": "RGB" if self._colour else "grey, in three equal channels",
            "range": "[0, 1]",
            "flow": f"{self.flow}, of grey frames, from the first frame to each later one",
        }

    def row_name(self, row: int) -> str:
        """Name a pair: its sequence, and its frames (from 1) unless they are neutral and apex."""
        names = self._open().index.names
        name = names[int(self._pairs.sequence[row])]
        if self._pairs.is_neutral_apex[row]:
            return name
        return f"{name}:{self._pairs.first[row] + 1}-{self._pairs.second[row] + 1}"

    def remarks(self) -> list[str]:
        """Say how long the flow vectors of the training part are."""
        cache, rows = self._open().cache, some_of(self._open().rows["train"])
        if not len(rows):
            return []
        posed = self.posed_flows(cache.arrays, rows)
        flows: dict[str, Any] = {"flow": (cache.arrays["flow"][row] for row in rows)}
        flows |= {} if posed is None else {"posed_flow": posed}
        clip = self.clip * self.size / REFERENCE_SIDE
        return report_magnitudes(cache, rows, flows, clip, self.posing_parameters())

    def frontal_faces(
        self, epoch: int = 0, batch_size: int = 64
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the faces of the training fold, see `choose_faces`, to fit an image classifier.

        Args:
            epoch: The order is a pure function of this and the seed.
            batch_size: Faces a batch.

        Yields:
            Faces float32 [B, 3, H, W] in [0, 1] and classes int64 [B], on the CPU.
        """
        return training_fold.frontal_faces(self._open(), (self.seed, epoch), batch_size)

    def average_face(self) -> Tensor:
        """Average the neutral frontal faces of the training fold's people, each counted once.

        Returns:
            float32 [3, H, W] in [0, 1], on the CPU.

        Reference:
            eMotion-GAN, V.B: the neutral average face of Table III.
        """
        return training_fold.average_face(self._open())

    def frontal_flows(
        self, epoch: int = 0, batch_size: int = 64
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the frontal flows of the training fold, neutral to apex, to fit a classifier.

        Args:
            epoch: The order is a pure function of this and the seed.
            batch_size: Flows a batch.

        Yields:
            Flows float32 [B, 2, H, W] in pixels and classes int64 [B], on the CPU.
        """
        return training_fold.frontal_flows(self._open(), (self.seed, epoch), batch_size)

    def motions(self, expression: str) -> list[Motion]:
        """Return the frontal flows of the training fold that show a class, neutral to apex.

        Args:
            expression: Name of the class.
        """
        contents = self._open_guard().contents
        return list(training_fold.motions(self._open(), expression, contents, self.source))

    def read_face(self, file: Path) -> Target:
        """Read a neutral face to move, cut out as those of the data set were.

        Raises:
            BadSample: If it cannot be read, or no face is found in it.
        """
        return read_target(file, self._extraction(), self.input_options.detector)

    def flow_pairs(self, most: int = 2000) -> tuple[Tensor, Tensor, Tensor]:
        """Read frontal and posed flows of the training part, spread evenly over it.

        Args:
            most: Most flows of each.

        Returns:
            Frontal and posed flows float32 [N, 2, H, W] in pixels, and the people that they are
            from, int64 [N], on the CPU.
        """
        samples = self.dataset("train")
        chosen = some_of(np.arange(len(samples)), most)
        batch = self.on_after_batch_transfer(samples.__getitems__(chosen.tolist()), 0)
        return batch["flow"], batch["posed_flow"], batch["subject"]

    def _extraction(self) -> Extraction:
        return Extraction(self.size, self.flow, self.crop, self._colour)

    def _trained_steps(self) -> tuple[int, ...]:
        return self.steps if "frame_to_frame" in self.strategies else ()
