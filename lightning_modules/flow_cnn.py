"""Flow-CNN alone: which expression does the flow of a whole face show?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from torch import Tensor
from torch.nn import functional

from datamodules.batch import REFERENCE_SIDE
from lightning_modules.classifier import Classifier, LRInterval
from lightning_modules.networks.codec import FlowCodec
from lightning_modules.networks.flow_cnn import FlowCNN
from lightning_modules.optim import TwoStepLR

if TYPE_CHECKING:
    from datamodules.batch import FlowBatch, SequenceBatch


class FlowCNNClassifier(Classifier):
    """Flow-CNN trained by cross-entropy on flows from the neutral face to the apex.

    Args:
        num_classes: Number of expressions K.
        size: Side of the flows in pixels; at least 16. The papers try 24 to 128.
        clip: Longest motion kept, in pixels of a grid of 128x128; scaled with the size, so that a
            face that moves alike looks alike at every size.
        dropout: Share of units that the network's MLP drops in training.
        optimizer: Optimizer.
        lr_scheduler: Its scheduler.
        lr_interval: Whether it counts in epochs or in steps.

    Reference:
        SSIM-VAE, 4.2, Figures 7 and 8, after Allaert et al. (arXiv 1904.11592).

    Deviation:
        The papers name neither optimizer nor learning rate nor number of epochs.
    """

    def __init__(
        self,
        num_classes: int = 7,
        size: int = 64,
        clip: float = 5.0,
        dropout: float = 0.5,
        optimizer: OptimizerCallable = lambda p: torch.optim.Adam(p, lr=1e-3),
        lr_scheduler: LRSchedulerCallable = lambda o: TwoStepLR(o, first=60, second=80, gamma=0.3),
        lr_interval: LRInterval = "epoch",
    ) -> None:
        super().__init__(
            FlowCNN(num_classes, size, dropout=dropout),
            num_classes,
            optimizer=optimizer,
            lr_scheduler=lr_scheduler,
            lr_interval=lr_interval,
        )
        # Functions cannot stand in a checkpoint that loads with weights_only.
        self.save_hyperparameters(ignore=["optimizer", "lr_scheduler"])
        self.codec = FlowCodec(clip * size / REFERENCE_SIDE, "cartesian")
        self.example_input_array = (torch.zeros(1, 2, size, size),)

    def setup(self, stage: str) -> None:
        """Check classes and size of the data."""
        super().setup(stage)
        self.refuse_other_size(self.example_input_array[0].shape[-1])  # type: ignore[index]

    def forward(self, flow: Tensor) -> Tensor:
        """Return logits [B, K] of flows [B, 2, H, W] in pixels."""
        return self.network(self.codec.encode(flow)).float()  # type: ignore[no-any-return]

    def training_step(self, batch: FlowBatch, batch_idx: int) -> dict[str, Tensor]:
        """Return the cross-entropy of a batch."""
        loss = functional.cross_entropy(self(batch["flow"]), batch["label"])
        return {"loss": loss, "cross_entropy": loss.detach()}

    def validation_step(self, batch: FlowBatch, batch_idx: int) -> None:
        """Classify a batch."""
        self.quality.update(self(batch["flow"]), batch["label"])

    def test_step(self, batch: FlowBatch, batch_idx: int) -> dict[str, Tensor]:
        """Classify a batch.

        Returns:
            ``logits`` [B, K], ``label``, ``sample_id``, and ``flow`` in pixels.
        """
        logits = self(batch["flow"])
        self.quality.update(logits, batch["label"], batch.get("subsets"))
        return {
            "logits": logits,
            "label": batch["label"],
            "sample_id": batch["sample_id"],
            "flow": batch["flow"],
        }

    def predict_step(self, batch: SequenceBatch, batch_idx: int) -> dict[str, Any]:
        """Classify pairs of frames of recordings without labels.

        Returns:
            ``logits`` [B, K], ``sample_id``, ``sequence``, ``frame``, and ``flow`` in pixels.
        """
        return {
            "logits": self(batch["posed_flow"]),
            "sample_id": batch["sample_id"],
            "sequence": batch["sequence"],
            "frame": batch["frame"],
            "flow": batch["posed_flow"],
        }
