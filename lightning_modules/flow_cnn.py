"""Flow-CNN alone: which expression does the flow of a whole face show?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from torch import Tensor
from torch.nn import functional
from torchmetrics import MeanMetric

from lightning_modules.metrics.classification import classification_metrics, scalars
from lightning_modules.networks.codec import FlowCodec
from lightning_modules.networks.flow_cnn import FlowCNN

if TYPE_CHECKING:
    from datamodules.batch import FlowBatch, SequenceBatch


class FlowCNNClassifier(LightningModule):
    """Flow-CNN trained by cross-entropy on flows from the neutral face to the apex.

    Args:
        num_classes: Number of expressions K.
        size: Side of the flows in pixels; at least 16. The papers try 24 to 128.
        clip: Longest motion kept, in pixels of a grid of 128x128; scaled with the size, so that a
            face that moves alike looks alike at every size.
        dropout: Share of units that the network's MLP drops in training.
        optimizer: Optimizer.
        lr_scheduler: Scheduler, stepped once an epoch.

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
        lr_scheduler: LRSchedulerCallable = lambda o: torch.optim.lr_scheduler.MultiStepLR(
            o, milestones=[60, 80], gamma=0.3
        ),
    ) -> None:
        super().__init__()
        # Functions cannot stand in a checkpoint that loads with weights_only.
        self.save_hyperparameters(ignore=["optimizer", "lr_scheduler"])
        self.optimizer = optimizer
        self.lr_scheduler = lr_scheduler
        self.codec = FlowCodec(clip * size / 128, "cartesian")
        self.flow_cnn = FlowCNN(num_classes, size, dropout=dropout)
        self.example_input_array = (torch.zeros(1, 2, size, size),)
        self.metrics = classification_metrics(num_classes)
        # "disable" keeps a NaN in the mean; the default would leave it out.
        self.cross_entropy = MeanMetric(nan_strategy="disable")
        self.confidence = MeanMetric(nan_strategy="disable")

    def forward(self, flow: Tensor) -> Tensor:
        """Return logits [B, K] of flows [B, 2, H, W] in pixels."""
        return self.flow_cnn(self.codec.encode(flow)).float()  # type: ignore[no-any-return]

    def training_step(self, batch: FlowBatch, batch_idx: int) -> Tensor:
        """Return the cross-entropy of a batch."""
        loss = functional.cross_entropy(self(batch["flow"]), batch["label"])
        self.log("train/cross_entropy", loss.detach())
        return loss

    def validation_step(self, batch: FlowBatch, batch_idx: int) -> None:
        """Classify a batch."""
        self._measure(self(batch["flow"]), batch["label"])

    def on_validation_epoch_end(self) -> None:
        """Log accuracy, balanced accuracy, macro F1, recalls, cross-entropy and confidence.

        ``val/confidence``, the mean probability of the right class, is what selects a checkpoint
        best: on the few faces of a fold most epochs tie in accuracy.
        """
        self._log_metrics("val")

    def test_step(self, batch: FlowBatch, batch_idx: int) -> dict[str, Tensor]:
        """Classify a batch.

        Returns:
            ``logits`` [B, K], ``label``, ``sample_id``, and ``flow`` in pixels.
        """
        logits = self(batch["flow"])
        self._measure(logits, batch["label"])
        return {
            "logits": logits,
            "label": batch["label"],
            "sample_id": batch["sample_id"],
            "flow": batch["flow"],
        }

    def on_test_epoch_end(self) -> None:
        """Log the same as validation, as ``test/...``."""
        self._log_metrics("test")

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

    def configure_optimizers(self) -> tuple[list[torch.optim.Optimizer], list[Any]]:
        """Return the optimizer and its scheduler."""
        optimizer = self.optimizer(self.flow_cnn.parameters())
        return [optimizer], [self.lr_scheduler(optimizer)]

    def _measure(self, logits: Tensor, label: Tensor) -> None:
        self.metrics.update(logits, label)
        cross_entropy = functional.cross_entropy(logits, label, reduction="none")
        self.cross_entropy.update(cross_entropy)
        self.confidence.update((-cross_entropy).exp())

    def _log_metrics(self, split: str) -> None:
        names = getattr(getattr(self.trainer, "datamodule", None), "class_names", None)
        values = scalars(self.metrics.compute(), names)
        values["cross_entropy"] = self.cross_entropy.compute()
        values["confidence"] = self.confidence.compute()
        for metric in (self.metrics, self.cross_entropy, self.confidence):
            metric.reset()
        # Every process holds the same numbers by now: sync_dist only tells Lightning so.
        self.log_dict({f"{split}/{name}": value for name, value in values.items()}, sync_dist=True)
