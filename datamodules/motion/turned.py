"""Flows of one frontal camera, posed by small in-plane motions on the device."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from datamodules.loaders import Batch
from datamodules.motion.module import FlowDataModule
from datamodules.motion.pairs import PairReader
from datamodules.motion.posing import PoseRange, draw_noise, draw_poses, pose_flow


class TurnedFlowDataModule(FlowDataModule):
    """Frontal flows of a data set without a second camera, beside those of heads turned here.

    `posed_flow` is the frontal flow with a small in-plane motion of the second frame and noise,
    see `posing`. Training draws a new motion for each sample in each epoch; validation and test
    always the same one.

    Args:
        rotation: Largest rotation to either side, in degrees.
        translation: Largest shift along each axis, in pixels of the grid.
        scale: Largest relative change of size.
        noise: Standard deviation of the noise on each flow component, in pixels of the grid.
        **kwargs: See `FlowDataModule`.

    Reference:
        eMotion-GAN, IV.A.

    Deviation:
        The paper turns images and estimates the flow again; see `pose_flow`. It gives no ranges:
        these move a face by about as much as the paper's clip of 10 px.
    """

    def __init__(
        self,
        rotation: float = 10.0,
        translation: float = 4.0,
        scale: float = 0.05,
        noise: float = 0.2,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._limits = PoseRange(rotation, translation, scale, noise)

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Turn stored types into float32 and add `posed_flow`, on the device."""
        batch = super().on_after_batch_transfer(batch, dataloader_idx)
        if "posed_flow" in batch:  # a batch to predict on
            return batch
        trainer = self.trainer
        epoch = trainer.current_epoch + 1 if trainer is not None and trainer.training else 0
        batch["posed_flow"] = self._pose(batch["flow"], batch["sample_id"], epoch)
        return batch

    def posed_flows(
        self, arrays: Mapping[str, NDArray[Any]], rows: NDArray[np.int64]
    ) -> Iterator[NDArray[np.floating[Any]]]:
        """Yield posed flows as the first epoch draws them, for the report of magnitudes."""
        for row in rows:
            flow = torch.from_numpy(np.array(arrays["flow"][row])[None]).float()
            yield self._pose(flow, torch.tensor([int(row)]), epoch=1)[0].numpy()

    def compute_registered(self, reader: PairReader, row: int) -> dict[str, NDArray[Any]]:
        """Register frames of which the second was turned as the sample's flow is in test."""
        return reader.registered_after_turn(row, self.seed, self._limits)

    def posing_parameters(self) -> dict[str, Any]:
        """Return what the turns depend on."""
        return {"seed": self.seed, **asdict(self._limits)}

    def _pose(self, flow: torch.Tensor, sample_id: torch.Tensor, epoch: int) -> torch.Tensor:
        seed, limits = self.seed, self._limits
        motion = draw_poses(sample_id, seed=seed, epoch=epoch, limits=limits)
        noise = draw_noise(
            sample_id, seed=seed, epoch=epoch, size=flow.shape[-1], noise=limits.noise
        )
        return pose_flow(flow, motion) + noise
