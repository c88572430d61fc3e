"""PCNN: regions of a face beside the whole of it, registered, added, and judged twice."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from torch import Tensor, nn

from lightning_modules.classifier import LRInterval
from lightning_modules.face_classifier import Answer, FaceClassifier, Labels
from lightning_modules.networks.pcnn import PCNNNetwork
from lightning_modules.networks.regions import Cropping
from lightning_modules.networks.resnet import Stem
from losses.classification import TwoPhaseLoss


class PCNN(FaceClassifier):
    """A perception CNN trained by the two-phase loss.

    Args:
        num_classes: Number of expressions K.
        size: Side of the images in pixels, a multiple of 16 and at least 48.
        regions: Cropping: five (paper), four, three, two_random or none.
        transformer: Whether MDIM registers the regions' features (ablation without MDIM).
        warp_limit: Largest difference of each number of MDIM's affine map from the identity's;
            null, as in the paper, lets it throw the regions out of the picture.
        share_layer4: Whether MDIM's localisation network has the weights of GPN's layer 4, as in
            the authors' code; False gives it its own, as in the text.
        share_norms: Whether a shared layer 4 shares its batch norms too, as in the authors' code;
            False keeps the statistics of regions and whole face apart.
        stem: imagenet (paper), or for small images small (3x3 of stride 1 without pooling) or
            pooled (with it, for a quarter of the cost).
        width: Channels of the stem of each trunk; 64 in the paper.
        alpha: Weight of GPN's cross-entropy.
        beta: Weight of LPN's; 0 trains it not at all (ablation without the two-phase loss).
        labels: hard (classes) or votes: the shares of a crowd's votes, which FERPlus has.
        weights: Path or http(s) address of weights of a ResNet-18, from which all trunks and
            layer 4 start, published ones or a checkpoint of ``ResNet18Classifier``; null starts
            from scratch.
        weights_sha256: Their SHA-256; an address needs one.
        logit_adjustment: Share of the classes' log priors that training adds to the logits, for
            rare classes; 0 as in the paper.
        mirror: Whether a face is judged together with its mirror image, at twice the cost of an
            answer; training is not touched by it.
        optimizer: Optimizer.
        lr_scheduler: Its scheduler.
        lr_interval: Whether it counts in epochs or in steps.

    Raises:
        ValueError: If the size does not fit the network.

    Reference:
        Tian et al., A Perception CNN for Facial Expression Recognition, III and IV.B; defaults
        are the paper's, and its code's where the paper is silent.

    Deviation:
        See :class:`lightning_modules.networks.pcnn.PCNNNetwork`. The authors' code keeps the
        epoch that is best on the test set; here validation selects.
    """

    def __init__(
        self,
        num_classes: int = 7,
        size: int = 224,
        regions: Cropping = "five",
        transformer: bool = True,
        warp_limit: float | None = None,
        share_layer4: bool = True,
        share_norms: bool = True,
        stem: Stem = "imagenet",
        width: int = 64,
        alpha: float = 12.0,
        beta: float = 8.0,
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
        network = PCNNNetwork(
            num_classes,
            size,
            regions=regions,
            transformer=transformer,
            warp_limit=warp_limit,
            share_layer4=share_layer4,
            share_norms=share_norms,
            stem=stem,
            width=width,
        )
        super().__init__(
            network,
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
        self.network: PCNNNetwork
        self.two_phase_loss = TwoPhaseLoss(alpha, beta)

    def answer(self, network: Any, image: Tensor) -> Answer:
        """Classify images [B, 3, size, size] in [0, 1] by GPN."""
        whole = network(self.normalise(image))
        return Answer(whole.logits.float(), whole.features.float())

    def losses(self, image: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Equation (5): ``total`` and the cross-entropies of GPN and LPN."""
        answer = self.network(self.normalise(image))
        loss = self.two_phase_loss(
            answer.logits.float() + self.class_offsets,
            answer.local_logits.float() + self.class_offsets,
            target,
            self.class_weights,
        )
        return {
            "global_cross_entropy": loss.global_term,
            "local_cross_entropy": loss.local_term,
            "total": loss.total,
        }

    def backbones(self) -> list[nn.Module]:
        """Return all trunks and each layer 4."""
        return self.network.backbones()
