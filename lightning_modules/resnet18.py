"""Plain ResNet-18 on whole faces, to which PCNN is compared."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from torch import Tensor, nn

from lightning_modules.classifier import LRInterval
from lightning_modules.face_classifier import Answer, FaceClassifier, Labels
from lightning_modules.networks.resnet import ResNet18, Stem
from losses.classification import classification_loss


class ResNet18Classifier(FaceClassifier):
    """ResNet-18 trained by cross-entropy, on the data and by the schedule of PCNN.

    Args:
        num_classes: Number of expressions K.
        size: Side of the images in pixels, for which its cost is told; any will do.
        stem: imagenet, or for small images small (3x3 of stride 1 without pooling) or pooled.
        width: Channels of the stem; 64 in ResNet-18.
        labels: hard (classes) or votes: the shares of a crowd's votes, which FERPlus has.
        weights: Path or http(s) address of weights of a ResNet-18, published ones or a checkpoint
            of this class, whose classifier is left out; null starts from scratch.
        weights_sha256: Their SHA-256; an address needs one.
        logit_adjustment: Share of the classes' log priors that training adds to the logits, for
            rare classes; 0 adds nothing.
        mirror: Whether a face is judged together with its mirror image, at twice the cost of an
            answer; training is not touched by it.
        optimizer: Optimizer.
        lr_scheduler: Its scheduler.
        lr_interval: Whether it counts in epochs or in steps.

    Reference:
        He et al. (CVPR 2016). PCNN, Table II, row "ResNet18".
    """

    def __init__(
        self,
        num_classes: int = 7,
        size: int = 224,
        stem: Stem = "imagenet",
        width: int = 64,
        labels: Labels = "hard",
        weights: str | None = None,
        weights_sha256: str | None = None,
        logit_adjustment: float = 0.0,
        mirror: bool = False,
        optimizer: OptimizerCallable = lambda p: torch.optim.SGD(
            p, lr=0.01, momentum=0.9, weight_decay=1e-4
        ),
        lr_scheduler: LRSchedulerCallable = lambda o: torch.optim.lr_scheduler.StepLR(
            o, step_size=15, gamma=0.5
        ),
        lr_interval: LRInterval = "epoch",
    ) -> None:
        super().__init__(
            ResNet18(num_classes, stem, width),
            num_classes,
            size=size,
            labels=labels,
            weights=weights,
            weights_sha256=weights_sha256,
            logit_adjustment=logit_adjustment,
            mirror=mirror,
            optimizer=optimizer,
            lr_scheduler=lr_scheduler,
            lr_interval=lr_interval,
        )
        # Functions cannot stand in a checkpoint that loads with weights_only.
        self.save_hyperparameters(ignore=["optimizer", "lr_scheduler"])
        self.network: ResNet18

    def answer(self, network: Any, image: Tensor) -> Answer:
        """Classify images [B, 3, H, W] in [0, 1]."""
        features = network.features(self.normalise(image))
        return Answer(network.fc(features).float(), features.float())

    def losses(self, image: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Return the cross-entropy as ``total``."""
        # By the network's own call: what compiles a network compiles no other way in.
        logits = self.network(self.normalise(image)).float() + self.class_offsets
        return {"total": classification_loss(logits, target, class_weights=self.class_weights)}

    def backbones(self) -> list[nn.Module]:
        """Return the whole network."""
        return [self.network]
