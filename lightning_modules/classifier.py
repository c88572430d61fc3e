"""What the methods that recognise expressions of still faces share."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor, nn
from torch.nn import functional
from torchmetrics import MeanMetric

from datamodules.errors import UserError
from lightning_modules.metrics.classification import classification_metrics, scalars
from lightning_modules.metrics.subsets import SubsetAccuracy
from lightning_modules.networks.normalisation import ImageNetNormalisation
from lightning_modules.networks.pretrained import load_backbone
from losses.classification import balancing_weights, log_priors

if TYPE_CHECKING:
    from datamodules.batch import FaceBatch, FaceInputBatch

Labels = Literal["hard", "votes"]


class Answer(NamedTuple):
    """What a method says of faces.

    Attributes:
        logits: [B, K].
        features: [B, D], what the logits are a linear function of.
    """

    logits: Tensor
    features: Tensor


class FaceClassifier(LightningModule):
    """One network, one optimizer, and the measures of a classifier.

    A subclass computes :meth:`answer` and :meth:`losses`.

    Args:
        network: Reads normalised images [B, 3, H, W].
        num_classes: Number of expressions K.
        size: Side of the images in pixels, for which its cost is told.
        labels: hard (classes) or votes: the shares of a crowd's votes.
        weights: Path or http(s) address of weights of a ResNet-18 to start from.
        weights_sha256: Their SHA-256; an address needs one.
        logit_adjustment: Share of the classes' log priors that training adds to the logits: 0
            learns the frequencies of the training set, 1 has all classes equally frequent.
        optimizer: Optimizer.
        lr_scheduler: Scheduler, stepped once an epoch.
    """

    class_weights: Tensor
    class_offsets: Tensor

    def __init__(
        self,
        network: nn.Module,
        num_classes: int,
        *,
        size: int,
        labels: Labels,
        weights: str | None,
        weights_sha256: str | None,
        logit_adjustment: float,
        optimizer: OptimizerCallable,
        lr_scheduler: LRSchedulerCallable,
    ) -> None:
        super().__init__()
        self.network = network
        self.normalise = ImageNetNormalisation()
        self.num_classes = num_classes
        self.labels = labels
        self.weights = weights
        self.weights_sha256 = weights_sha256
        self.logit_adjustment = logit_adjustment
        self.optimizer = optimizer
        self.lr_scheduler = lr_scheduler
        self.example_input_array = torch.zeros(1, 3, size, size)
        self.register_buffer("class_weights", torch.ones(num_classes), persistent=False)
        self.register_buffer("class_offsets", torch.zeros(num_classes), persistent=False)
        self.metrics = classification_metrics(num_classes)
        # "disable" keeps a NaN in the mean; the default would leave it out.
        self.cross_entropy = MeanMetric(nan_strategy="disable")
        self.confidence = MeanMetric(nan_strategy="disable")
        self.subset_accuracy = SubsetAccuracy(())

    @abstractmethod
    def answer(self, image: Tensor) -> Answer:
        """Classify images [B, 3, H, W] in [0, 1]."""

    @abstractmethod
    def losses(self, image: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Return ``total`` and its unweighted terms by name.

        Args:
            image: [B, 3, H, W] in [0, 1].
            target: Classes [B] or shares of votes [B, K].
        """

    @abstractmethod
    def backbones(self) -> list[nn.Module]:
        """Return the parts that start from the weights of a ResNet-18."""

    def forward(self, image: Tensor) -> Tensor:
        """Return logits [B, K] of images [B, 3, H, W] in [0, 1]."""
        return self.answer(image).logits

    def setup(self, stage: str) -> None:
        """Take from the data module what depends on it.

        Raises:
            UserError: If the data are of other classes or have faces without one, or a class to
                be balanced has no sample.
        """
        data = getattr(self.trainer, "datamodule", None)
        names = getattr(data, "class_names", None)
        if names is not None and len(names) != self.num_classes:
            raise UserError(
                f"The model tells {self.num_classes} classes apart and the data has {len(names)} "
                f"({', '.join(names)}): give both the same set."
            )
        if getattr(data, "annotated", "expressions") != "expressions":
            raise UserError(
                "data.annotated is action_units, which takes faces without an expression in: "
                f"{type(self).__name__} learns expressions, so leave it at expressions."
            )
        self.subset_accuracy = SubsetAccuracy(getattr(data, "subset_names", ()))
        if stage == "fit" and data is not None and getattr(data, "class_balance", "") == "loss":
            self.class_weights.copy_(balancing_weights(data.class_counts))
        if stage == "fit" and data is not None and self.logit_adjustment:
            self.class_offsets.copy_(self.logit_adjustment * log_priors(data.class_counts))

    # ---- training

    def on_fit_start(self) -> None:
        """Load the weights to start from, unless a checkpoint holds others.

        Raises:
            UserError: If the weights cannot be had or do not fit.
        """
        if self.weights is not None and self.trainer.ckpt_path is None:
            report = load_backbone(self.backbones(), self.weights, self.weights_sha256)
            rank_zero_info(f"{self.weights}: {report}.")

    def training_step(self, batch: FaceBatch, batch_idx: int) -> Tensor:
        """Return the loss of a batch."""
        losses = self.losses(batch["image"], self._target(batch))
        self.log_dict({f"train/{name}": loss.detach() for name, loss in losses.items()})
        return losses["total"]

    # ---- evaluation

    def validation_step(self, batch: FaceBatch, batch_idx: int) -> None:
        """Classify a batch."""
        self._measure(self(batch["image"]), batch)

    def on_validation_epoch_end(self) -> None:
        """Log accuracy, balanced accuracy, macro F1, recalls, cross-entropy and confidence.

        ``val/confidence`` is the mean probability of the right class.
        """
        self._log_metrics("val")

    def test_step(self, batch: FaceBatch, batch_idx: int) -> dict[str, Tensor]:
        """Classify a batch.

        Returns:
            ``logits`` [B, K], ``features`` [B, D], ``label``, ``sample_id``, and ``image``
            [B, 3, H, W] in [0, 1].
        """
        answer = self.answer(batch["image"])
        self._measure(answer.logits, batch)
        return {
            "logits": answer.logits,
            "features": answer.features,
            "label": batch["label"],
            "sample_id": batch["sample_id"],
            "image": batch["image"],
        }

    def on_test_epoch_end(self) -> None:
        """Log the same as validation, as ``test/...``, and ``test/<subset>_accuracy``."""
        self._log_metrics("test")

    def predict_step(self, batch: FaceInputBatch, batch_idx: int) -> dict[str, Any]:
        """Classify faces found in pictures and films without labels.

        Returns:
            ``logits`` [B, K], ``sample_id``, ``source``, ``frame``, ``box``, and ``image``
            [B, 3, H, W] in [0, 1].
        """
        return {
            "logits": self(batch["image"]),
            "sample_id": batch["sample_id"],
            "source": batch["source"],
            "frame": batch["frame"],
            "box": batch["box"],
            "image": batch["image"],
        }

    # ---- optimizers

    def configure_optimizers(self) -> tuple[list[torch.optim.Optimizer], list[Any]]:
        """Return the optimizer and its scheduler."""
        optimizer = self.optimizer(self.network.parameters())
        return [optimizer], [self.lr_scheduler(optimizer)]

    # ---- parts of the steps

    def _target(self, batch: FaceBatch) -> Tensor:
        if self.labels == "hard":
            return batch["label"]
        votes = batch.get("votes")
        if votes is None or votes.shape[1] != self.num_classes:
            got = "none" if votes is None else f"votes on {votes.shape[1]}"
            raise UserError(
                f"labels is votes, which needs votes of a crowd on {self.num_classes} classes in "
                f"every batch, got {got}: take FERPlus and its classes, or set labels to hard."
            )
        return votes

    def _measure(self, logits: Tensor, batch: FaceBatch) -> None:
        label = batch["label"]
        self.metrics.update(logits, label)
        cross_entropy = functional.cross_entropy(logits, label, reduction="none")
        self.cross_entropy.update(cross_entropy)
        self.confidence.update((-cross_entropy).exp())
        if "subsets" in batch:
            self.subset_accuracy.update(logits, label, batch["subsets"])

    def _log_metrics(self, split: str) -> None:
        names = getattr(getattr(self.trainer, "datamodule", None), "class_names", None)
        values = scalars(self.metrics.compute(), names)
        values["cross_entropy"] = self.cross_entropy.compute()
        values["confidence"] = self.confidence.compute()
        # Only tests tell subsets; a validation never updates this.
        if split == "test" and self.subset_accuracy.update_called:
            values |= self.subset_accuracy.compute()
        for metric in (self.metrics, self.cross_entropy, self.confidence, self.subset_accuracy):
            metric.reset()
        # Every process holds the same numbers by now: sync_dist only tells Lightning so.
        self.log_dict({f"{split}/{name}": value for name, value in values.items()}, sync_dist=True)
