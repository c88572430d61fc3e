"""What the classifiers of still faces share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from datamodules.errors import UserError
from lightning_modules.classifier import Classifier
from lightning_modules.networks.fused import fused
from lightning_modules.networks.resnet import ImageNetNormalisation
from lightning_modules.networks.weights import MatchReport, load_backbone
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


class FaceClassifier(Classifier):
    """A classifier of still faces.

    A subclass computes :meth:`answer` and :meth:`losses`.

    Args:
        network: Reads normalised images [B, 3, H, W].
        num_classes: Number of expressions K.
        size: Side of the images in pixels, for which its cost is told.
        labels: hard (classes) or votes: the shares of a crowd's votes.
        weights: Path or http(s) address of weights of a ResNet-18 to start from, published ones
            or a checkpoint of ``ResNet18Classifier``.
        weights_sha256: Their SHA-256; an address needs one.
        logit_adjustment: Share of the classes' log priors that training adds to the logits: 0
            learns the frequencies of the training set, 1 has all classes equally frequent.
        mirror: Whether a face is judged together with its mirror image, at twice the cost of an
            answer; training is not touched by it.
        **training: Optimizer and scheduler, see `Classifier`.

    Reference:
        Krizhevsky et al. (NeurIPS 2012), 4.1, average answers over mirrored images when they test.
    """

    headline_measures = ("balanced_accuracy",)
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
        mirror: bool,
        **training: Any,
    ) -> None:
        super().__init__(
            network, num_classes, weights=weights, weights_sha256=weights_sha256, **training
        )
        self.normalise = ImageNetNormalisation()
        self.labels = labels
        self.logit_adjustment = logit_adjustment
        self.mirror = mirror
        # In a list and so no part of the module: checkpoints and optimizers do not see it.
        self._fused: list[nn.Module] = []
        self.example_input_array = torch.zeros(1, 3, size, size)
        self.register_buffer("class_weights", torch.ones(num_classes), persistent=False)
        self.register_buffer("class_offsets", torch.zeros(num_classes), persistent=False)

    @abstractmethod
    def answer(self, network: Any, image: Tensor) -> Answer:
        """Classify images [B, 3, H, W] in [0, 1] by ``network`` or its fused copy."""

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
        return self._judge(self.network, image).logits

    def judge(self, image: Tensor) -> Answer:
        """Return the answer to images [B, 3, H, W] in [0, 1], or its mean over both their sides.

        In the loops of evaluation by the fused copy, which has no gradients and none of the
        network's own modules; :meth:`forward` always asks the network itself.
        """
        return self._judge(self._fused[0] if self._fused else self.network, image)

    def _judge(self, network: nn.Module, image: Tensor) -> Answer:
        """Average over both sides if asked to; logits are linear in features, so both may be."""
        answer = self.answer(network, image)
        if not self.mirror:
            return answer
        mirrored = self.answer(network, image.flip(3))
        return Answer(
            (answer.logits + mirrored.logits) / 2, (answer.features + mirrored.features) / 2
        )

    def setup(self, stage: str) -> None:
        """Take from the data module what depends on it.

        Raises:
            UserError: If the data are of other classes or have faces without one, or a class to
                be balanced has no sample.
        """
        super().setup(stage)
        if getattr(self.data, "annotated", "expressions") != "expressions":
            raise UserError(
                "data.annotated is action_units, which takes faces without an expression in: "
                f"{type(self).__name__} learns expressions, so leave it at expressions."
            )
        try:
            if stage == "fit" and getattr(self.data, "class_balance", "") == "loss":
                self.class_weights.copy_(balancing_weights(self.data.class_counts))
            if stage == "fit" and self.logit_adjustment:
                counts = self.data.class_counts
                self.class_offsets.copy_(self.logit_adjustment * log_priors(counts))
        except ValueError as error:  # a class that the data set does not have
            raise UserError(str(error)) from None

    # ---- training

    def load_weights(self, given: Mapping[str, Any], source: str, *, whole: bool) -> MatchReport:
        """Fill the parts that start from a ResNet-18, which has no classes of this project.

        Raises:
            UserError: If it is of another architecture, or should answer.
        """
        if whole:
            raise UserError(
                f"model.weights {source} holds no {type(self).__name__} that answers by itself, at "
                "most a network to start a training from: give the checkpoint of a training with "
                "--ckpt_path (best, last or a path)."
            )
        return load_backbone(self.backbones(), given, source)

    def training_step(self, batch: FaceBatch, batch_idx: int) -> dict[str, Tensor]:
        """Return the loss of a batch and its parts."""
        losses = self.losses(batch["image"], self._target(batch))
        parts = {name: loss.detach() for name, loss in losses.items()}
        return {"loss": losses["total"], **parts}

    # ---- evaluation

    def on_validation_start(self) -> None:
        """Fuse a copy of the network, which judges until the end of the loop."""
        self._fused = [fused(self.network)]

    def on_validation_end(self) -> None:
        """Drop the copy: the network may learn on."""
        self._fused.clear()

    on_test_start = on_predict_start = on_validation_start
    on_test_end = on_predict_end = on_validation_end

    def validation_step(self, batch: FaceBatch, batch_idx: int) -> None:
        """Classify a batch."""
        self.quality.update(self.judge(batch["image"]).logits, batch["label"])

    def test_step(self, batch: FaceBatch, batch_idx: int) -> dict[str, Tensor]:
        """Classify a batch.

        Returns:
            ``logits`` [B, K], ``features`` [B, D], ``label``, ``sample_id``, and ``image``
            [B, 3, H, W] in [0, 1].
        """
        answer = self.judge(batch["image"])
        self.quality.update(answer.logits, batch["label"], batch.get("subsets"))
        return {
            "logits": answer.logits,
            "features": answer.features,
            "label": batch["label"],
            "sample_id": batch["sample_id"],
            "image": batch["image"],
        }

    def predict_step(self, batch: FaceInputBatch, batch_idx: int) -> dict[str, Any]:
        """Classify faces found in pictures and films without labels.

        Returns:
            What the batch holds, and ``logits`` [B, K].
        """
        return {**batch, "logits": self.judge(batch["image"]).logits}

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
