"""CK+ behind black boxes, or things, over parts of the face."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datamodules.errors import UserError
from datamodules.files import find_folder, nested
from datamodules.index import Index
from datamodules.loaders import Batch
from datamodules.motion.extraction import Extraction
from datamodules.motion.occlusion import INPAINTED, REGIONS, OccludedPairReader
from datamodules.motion.pairs import PairReader, Pairs
from datamodules.motion.posing import draw_share, mirrored
from datamodules.sets.ckplus import FrontalCKPlus


class OccludedCKPlusDataModule(FrontalCKPlus):
    """CK+ from neutral to apex: flows of whole faces beside those of the same faces occluded.

    Gives batches like `batch.OccludedFlowBatch`. A box is placed by the landmarks of the first
    frame where the data set has them, else by the detected face, and drawn on the frames before
    the flow is estimated. A batch to predict on holds the flows of its recordings as they are.

    Args:
        regions: What is occluded, by names from `occlusion.REGIONS`; a sample comes with all. A
            name that ends in ``_inpainted`` fills what that region hides from its border before
            the flow, which costs nothing to learn.
        train_regions: Those of them that are shown in training; null for all. The others are
            hidden in validation and test alone.
        share: Of the area of the face that the regions ``random`` and ``moving`` cover, in (0, 1].
        expressions: Classes: basic7, basic6, all8 or ck7.
        size: Side of the grid to which flows are resized, in pixels.
        clip: Magnitude at which the method clips, in pixels of a 128x128 grid.
        mirror: Share of the training samples that are shown mirrored, anew in each epoch.
        **kwargs: See `FrontalCKPlus`.

    Raises:
        UserError: If an argument is out of its range.

    Reference:
        SSIM-VAE, 3.1.

    Deviation:
        The paper does not say that it mirrors; 0 is the paper.
    """

    def __init__(
        self,
        regions: tuple[str, ...] = ("eyes", "mouth"),
        train_regions: tuple[str, ...] | None = None,
        share: float = 0.25,
        expressions: str = "ck7",
        size: int = 64,
        clip: float = 5.0,
        mirror: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            expressions=expressions,
            size=size,
            clip=clip,
            strategies=("neutral_apex",),
            steps=(),
            **kwargs,
        )
        hidden = {region.removesuffix(INPAINTED) for region in regions}
        if not regions or len(set(regions)) < len(regions) or hidden - set(REGIONS):
            raise UserError(
                f"data.regions must name one or more of {', '.join(REGIONS)}, with or without "
                f"{INPAINTED}, each once, but is {', '.join(regions) or 'empty'}."
            )
        shown = regions if train_regions is None else train_regions
        if not shown or len(set(shown)) < len(shown) or set(shown) - set(regions):
            raise UserError(
                f"data.train_regions must name one or more of data.regions, {', '.join(regions)}, "
                f"each once, but is {', '.join(shown) or 'empty'}."
            )
        if not 0 < share <= 1:
            raise UserError(f"data.share must lie above 0 and up to 1, but is {share}.")
        if not 0 <= mirror <= 1:
            raise UserError(f"data.mirror must lie from 0 to 1, but is {mirror}.")
        self.regions = tuple(regions)
        self.train_regions = tuple(shown)
        self._share = share
        self._mirror = mirror

    def pair_reader(
        self, index: Index, root: Path, pairs: Pairs, extraction: Extraction
    ) -> PairReader:
        """Make what computes clean and occluded flows of a pair."""
        return OccludedPairReader(
            index,
            pairs,
            extraction,
            regions=self.regions,
            share=self._share,
            landmarks=find_landmarks(root, index),
            root=root,
        )

    def posed_flows(self, arrays: Mapping[str, NDArray[Any]], rows: NDArray[np.int64]) -> None:
        """Return None: these faces are not posed."""
        return

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Turn stored types into float32; choose and mirror what is shown in training."""
        training = self.trainer is not None and self.trainer.training
        faces = batch.pop("occluded_face", None)  # not of a recording
        if faces is not None and not training:
            batch["occluded_face"] = faces.flatten(0, 1)
        batch = super().on_after_batch_transfer(batch, dataloader_idx)
        if faces is not None and not training:
            batch["occluded_face"] = batch["occluded_face"].unflatten(0, faces.shape[:2])
        if training and len(self.train_regions) < len(self.regions):
            shown = [self.regions.index(region) for region in self.train_regions]
            batch["occluded_flow"] = batch["occluded_flow"][:, shown]
        if training and self._mirror:
            epoch = self.trainer.current_epoch  # type: ignore[union-attr]
            chosen = draw_share(batch["sample_id"], seed=self.seed, epoch=epoch, share=self._mirror)
            for key in ("flow", "occluded_flow"):
                batch[key] = mirrored(batch[key], chosen)
        return batch

    def open_registered(self) -> None:
        """Open nothing: a frontal face needs no registration."""
        return


def find_landmarks(root: Path, index: Index) -> list[Path | None]:
    """Find the landmarks of the first frame of each sequence of CK+.

    Args:
        root: Folder of the data set, or one or two levels above it.
        index: The sequences.

    Returns:
        A file for each sequence, None where there is none.
    """
    found = find_folder(root, ("Landmarks",))
    if found is None:
        return [None] * len(index)
    folder = nested(found, "Landmarks")
    files = []
    for recordings in index.recordings or []:
        frame = recordings[0].files()[0]
        place = folder / frame.parent.parent.name / frame.parent.name
        file = place / f"{frame.stem}_landmarks.txt"
        files.append(file if file.exists() else None)
    return files
