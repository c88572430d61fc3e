"""The frozen networks that judge what a generator draws: made ready before they judge."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lightning.pytorch import Trainer
from lightning.pytorch.utilities import rank_zero_info
from torch import nn

from datamodules.errors import UserError
from lightning_modules.networks.image_classifier import (
    ImageClassifier,
    fit_image_classifier,
    load_image_classifier,
)
from lightning_modules.networks.vgg import VGGFeatures


def prepare_e_fer(
    e_fer: ImageClassifier, trainer: Trainer, *, checkpoint: str | None, epochs: int
) -> None:
    """Load e_FER, or fit it on the frontal faces of the training fold, unless it is fitted.

    Args:
        e_fer: The classifier.
        trainer: Whose data module gives the faces, as ``frontal_faces()``.
        checkpoint: Checkpoint of this project that holds an e_FER, or None to fit one.
        epochs: Most passes over the faces.

    Raises:
        UserError: If there are neither checkpoint nor faces, or the checkpoint does not fit.
    """
    if e_fer.fitted:
        return
    if checkpoint is not None:
        load_image_classifier(e_fer, checkpoint)
        rank_zero_info(f"e_FER: loaded from {checkpoint}.")
        return
    faces = getattr(getattr(trainer, "datamodule", None), "frontal_faces", None)
    if faces is None:
        raise UserError(
            "e_FER has neither a checkpoint nor frontal faces to learn from: give "
            "e_fer_checkpoint, or a data module with frontal_faces()."
        )
    rank_zero_info("e_FER: no checkpoint given, so it is fitted on the training fold's faces.")
    if trainer.is_global_zero:
        accuracy = fit_image_classifier(e_fer, faces, epochs=epochs)
        rank_zero_info(f"e_FER: recognised {accuracy:.1%} of these faces in its last pass.")
    # One process fits: on accelerators two would not end at the very same weights.
    weights = {name: tensor.cpu() for name, tensor in e_fer.state_dict().items()}
    e_fer.load_state_dict(trainer.strategy.broadcast(weights))


def prepare_vgg(vgg: VGGFeatures, weights: str) -> None:
    """Load the weights of VGG-16, unless they are loaded.

    Args:
        vgg: The features.
        weights: Path or address of the weights.

    Raises:
        UserError: If they cannot be had or are of another architecture.
    """
    if not vgg.loaded:
        report = vgg.load_weights(weights)
        rank_zero_info(
            f"VGG-16: {len(report.matched)} tensors loaded from {weights}, "
            f"{len(report.unused)} of it not used."
        )


@contextmanager
def evaluating(judge: nn.Module) -> Iterator[None]:
    """Judge with the running statistics of a network, and leave them as they are.

    Args:
        judge: The network; its mode is what it was afterwards.
    """
    training = judge.training
    judge.eval()
    try:
        yield
    finally:
        judge.train(training)
