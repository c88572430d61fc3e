"""The networks that eMotion-GAN asks and never trains: fitted once, before its first epoch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor

from datamodules.batch import mirror_flow
from datamodules.errors import UserError
from lightning_modules.classifier import ExpressionModule, compute_once
from lightning_modules.lent_classifier import LentClassifier, lender
from lightning_modules.networks.codec import FlowCodec
from lightning_modules.networks.fitted_classifier import FittedClassifier, Samples, fit_classifier
from lightning_modules.networks.flow_cnn import FlowCNN
from lightning_modules.networks.flow_filter import FlowFilter
from lightning_modules.networks.image_classifier import ImageClassifier
from lightning_modules.networks.weights import load_trained, read_checkpoint

_E_FER_SEED, _D_E_SEED = 0, 3
_D_E_EPOCHS = 20


def prepare_e_fer(
    e_fer: ImageClassifier, owner: ExpressionModule, path: str | None, *, epochs: int
) -> ImageClassifier | LentClassifier:
    """Take e_FER from a checkpoint of this project, or fit it on the training fold's frontal faces.

    Args:
        e_fer: What is filled, from a checkpoint of eMotion-GAN or by the fit.
        owner: The method whose data it must fit.
        path: Of the checkpoint, of eMotion-GAN or of a classifier of still faces; None to fit it.
        epochs: Most passes of the fit.

    Returns:
        ``e_fer``, or the classifier of still faces.

    Raises:
        UserError: If it cannot be read, was never fitted, or learnt of other classes or of people
            who are held out.
    """
    if path is None:
        rank_zero_info("e_FER: no checkpoint given, so it is fitted on the training fold's faces.")
        fit_once(e_fer, "e_FER", owner.data.frontal_faces, epochs=epochs, seed=_E_FER_SEED)
        return e_fer
    checkpoint = read_checkpoint(path)
    owner.refuse_leak(checkpoint, f"model.e_fer_checkpoint {path}")
    if method := lender(checkpoint):
        loose = getattr(owner.data, "crop", "none") == "loose"
        lent = LentClassifier(method, checkpoint, owner.class_names or (), path, loose=loose)
        rank_zero_info(f"e_FER: the {method.__name__} of {path}.")
        return lent.to(owner.device)
    owner.refuse_other_classes(checkpoint.get("class_names"), path)
    advice = "it must have been trained with the same expressions and size"
    load_trained({"e_fer": e_fer}, checkpoint, path, advice)
    if not e_fer.fitted:
        raise UserError(f"The e_FER in {path} was never fitted: its weights are random.")
    rank_zero_info(f"e_FER: loaded from {path}.")
    return e_fer


def fit_subspaces(g_f: FlowFilter, data: Any) -> None:
    """Fit the subspaces of G_F on the flows of the training fold.

    Raises:
        UserError: If the data module has none.
    """
    pairs = getattr(data, "flow_pairs", None)
    if pairs is None:
        raise UserError(
            "flow_prior filter has no flows to learn subspaces from: give a data module with "
            "flow_pairs(), or set flow_prior to none."
        )

    def fit() -> dict[str, Tensor]:
        device = g_f.subspaces.fitted.device
        frontal, posed, person = (tensor.to(device) for tensor in pairs())
        g_f.fit_subspaces(frontal, posed, person)
        rank_zero_info(f"G_F: subspaces of facial and head motion from {len(frontal)} flows.")
        return {key: tensor.cpu() for key, tensor in g_f.state_dict().items()}

    g_f.load_state_dict(compute_once(fit))


class _EncodedFlows(FittedClassifier):
    """D_E as a classifier of flows [B, 2, H, W] in pixels."""

    def __init__(self, d_e: FlowCNN, codec: FlowCodec) -> None:
        super().__init__()
        self.d_e = d_e
        self.codec = codec

    def forward(self, flow: Tensor) -> Tensor:
        """Return logits [B, K]."""
        return self.d_e(self.codec.encode(flow))  # type: ignore[no-any-return]

    def mirror(self, sample: Tensor) -> Tensor:
        """Return what flows are in a mirror."""
        return mirror_flow(sample)


def fit_d_e(d_e: FlowCNN, codec: FlowCodec, data: Any) -> None:
    """Fit D_E on the frontal flows of the training fold, where no training of G_F has taught it.

    Raises:
        UserError: If the data module has none.
    """
    if (flows := getattr(data, "frontal_flows", None)) is None:
        raise UserError("D_E has no flows to learn from: give a data module with frontal_flows().")
    model = _EncodedFlows(d_e, codec).to(next(d_e.parameters()).device)
    fit_once(model, "D_E", flows, epochs=_D_E_EPOCHS, seed=_D_E_SEED)


def fit_once(
    model: FittedClassifier,
    name: str,
    samples: Callable[[int], Samples],
    *,
    epochs: int,
    steps: int = 0,
    seed: int,
) -> None:
    """Fit a classifier on the first process and hand it to the others; see `fit_classifier`."""

    def fit() -> dict[str, Tensor]:
        accuracy = fit_classifier(model, samples, name=name, epochs=epochs, steps=steps, seed=seed)
        rank_zero_info(f"Fitted {name}: it recognised {accuracy:.1%} of its last pass.")
        return {key: tensor.cpu() for key, tensor in model.state_dict().items()}

    model.load_state_dict(compute_once(fit))
