"""Fitted machines in operations that an exported graph may have: no branch on a value."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn

from datamodules.errors import UserError
from lightning_modules.svm.modules import LinearMachines, SupportVectorClassifier, one_vs_rest
from lightning_modules.svm.recognisers import ExpressionRecogniser, Recogniser


class ExportedSVM(nn.Module):
    """Fitted machines from faces to answers, and nothing that trains.

    It holds every support vector: 6,000 of 8,192 features are 197 MB.

    Args:
        recogniser: The machines, fitted.
        network: What the features are taken of.
        extract: Returns features [B, F] of faces [B, 3, H, W] in [0, 1].
        size: Side of the faces, in pixels.

    Attributes:
        output_names: ``scores`` and ``probabilities``, or ``unit_margins``.

    Raises:
        UserError: If they are not fitted.
    """

    def __init__(
        self,
        recogniser: Recogniser,
        network: nn.Module,
        extract: Callable[[Tensor], Tensor],
        size: int,
    ) -> None:
        super().__init__()
        if not recogniser.machine.fitted:
            raise UserError("There is no fitted SVM to export: finish the training.")
        self.example_input_array = torch.zeros(1, 3, size, size)
        self.network = network
        self.scaling = recogniser.scaling
        self._extract = extract
        self.machine: _KernelMachine | _LinearMachines
        if isinstance(recogniser, ExpressionRecogniser):
            self.output_names: tuple[str, ...] = ("scores", "probabilities")
            machine = cast(SupportVectorClassifier, recogniser.machine)
            temperature = float(recogniser.calibration.temperature)
            self.machine = _KernelMachine(machine, temperature)
        else:
            self.output_names = ("unit_margins",)
            self.machine = _LinearMachines(cast(LinearMachines, recogniser.machine))
        self.eval()

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Return the outputs for faces [B, 3, H, W] in [0, 1]."""
        features = self._extract(image)
        if self.scaling is not None:
            features = self.scaling.standardise(features)
        return cast("tuple[Tensor, ...]", self.machine(features))


class _KernelMachine(nn.Module):
    """See `SupportVectorClassifier`; with the probabilities of `TemperatureScaling`."""

    vectors: Tensor
    lengths: Tensor
    weights: Tensor
    intercepts: Tensor

    def __init__(self, machine: SupportVectorClassifier, temperature: float) -> None:
        super().__init__()
        vectors = machine.support_vectors
        self.register_buffer("vectors", vectors)
        self.register_buffer("lengths", vectors.double().square().sum(dim=1))
        self.register_buffer("weights", machine.pair_weights())
        self.register_buffer("intercepts", machine.intercepts)
        self._gamma = float(machine.gamma)
        self._classes = machine.classes.tolist()
        self._num_classes = machine.num_classes
        self._temperature = temperature

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        precise = features.double()
        distances = precise.square().sum(dim=1, keepdim=True) + self.lengths
        distances = (distances - 2 * precise @ self.vectors.double().T).clamp(min=0)
        margins = (-self._gamma * distances).exp() @ self.weights + self.intercepts
        scores = one_vs_rest(margins, self._classes, self._num_classes)
        return scores, (scores / self._temperature).softmax(dim=1)


class _LinearMachines(nn.Module):
    """See `LinearMachines`."""

    weights: Tensor
    intercepts: Tensor
    skipped: Tensor

    def __init__(self, machines: LinearMachines) -> None:
        super().__init__()
        self.register_buffer("weights", machines.weights)
        self.register_buffer("intercepts", machines.intercepts)
        self.register_buffer("skipped", machines.costs == 0)

    def forward(self, features: Tensor) -> tuple[Tensor]:
        margins = features.double() @ self.weights.T + self.intercepts
        return (torch.where(self.skipped, torch.nan, margins).float(),)
