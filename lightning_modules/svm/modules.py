"""Fitted support vector machines as tensors: they live in a checkpoint and decide on the device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from sklearn.svm import SVC
from torch import Tensor, nn

from datamodules.errors import UserError
from lightning_modules.svm.gram import rbf_kernel_, squared_distances

# Support vectors of a block, so that their copy in double precision stays small.
_BLOCK = 4096


class FittedArrays(nn.Module):
    """Buffers whose sizes are only known after a fit; loading a state dict restores them.

    Attributes:
        fitted: Whether there was a fit.
    """

    fitted: Tensor

    def __init__(self, **empty: Tensor) -> None:
        super().__init__()
        self.register_buffer("fitted", torch.tensor(False))
        for name, tensor in empty.items():
            self.register_buffer(name, tensor)
        self._empty = {name: tensor.clone() for name, tensor in empty.items()}

    def fill(self, arrays: Mapping[str, Tensor]) -> None:
        """Take over fitted arrays.

        Args:
            arrays: All buffers but ``fitted``, by their names; copied to this module's device.
        """
        for name in self._empty:
            setattr(self, name, arrays[name].detach().clone().to(self.fitted.device))
        self.fitted.fill_(True)

    def clear(self) -> None:
        """Forget the fit."""
        self.fill(self._empty)
        self.fitted.fill_(False)

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *arguments: Any
    ) -> None:
        for name in self._empty:
            stored, own = state_dict.get(f"{prefix}{name}"), getattr(self, name)
            if isinstance(stored, Tensor) and stored.shape != own.shape:
                setattr(self, name, own.new_empty(stored.shape))
        super()._load_from_state_dict(state_dict, prefix, *arguments)


class SupportVectorClassifier(FittedArrays):
    """An RBF support vector machine fitted by scikit-learn's SVC, one-vs-one over its classes.

    Axis letters: S support vectors, F features, P classes that occurred in training.

    Args:
        num_classes: Number of classes K; those that never occurred in training are never chosen.
    """

    support_vectors: Tensor
    dual_coefficients: Tensor
    intercepts: Tensor
    support_counts: Tensor
    classes: Tensor
    gamma: Tensor
    cost: Tensor

    def __init__(self, num_classes: int) -> None:
        super().__init__(
            support_vectors=torch.empty(0, 0),
            dual_coefficients=torch.empty(0, 0, dtype=torch.float64),
            intercepts=torch.empty(0, dtype=torch.float64),
            support_counts=torch.empty(0, dtype=torch.int64),
            classes=torch.empty(0, dtype=torch.int64),
            gamma=torch.zeros((), dtype=torch.float64),
            cost=torch.zeros((), dtype=torch.float64),
        )
        self.num_classes = num_classes

    def forward(self, features: Tensor) -> Tensor:
        """Decide, each class against the rest.

        Args:
            features: Features [B, F].

        Returns:
            float32 [B, K], as scikit-learn's ``decision_function``: the duels that a class won,
            and within them its margins squeezed below a half, so that the largest is the answer
            of ``SVC(break_ties=True)``. For two classes the margin, negated for the first.
            A class that never occurred in training has -1, below every other.
            They rank samples, as a ROC curve needs; they are no calibrated probabilities.
        """
        margins = self.margins(features)
        return one_vs_rest(margins, self.classes.tolist(), self.num_classes)

    def margins(self, features: Tensor) -> Tensor:
        """Return LIBSVM's decision values.

        Args:
            features: Features [B, F].

        Returns:
            float64 [B, P (P - 1) / 2], for each pair of classes; positive for the first of it.
        """
        if not self.fitted:
            raise UserError("This support vector machine was never fitted.")
        if features.shape[1] != self.support_vectors.shape[1]:
            raise UserError(
                f"The support vector machine was fitted on {self.support_vectors.shape[1]} "
                f"features, but is given {features.shape[1]}."
            )
        weights = self.pair_weights()  # (S, pairs)
        home, gamma = features.device, float(self.gamma)
        work = torch.device("cpu") if home.type == "mps" else home
        total = self.intercepts.to(work).repeat(len(features), 1)
        for start in range(0, len(weights), _BLOCK):
            vectors = self.support_vectors[start : start + _BLOCK].to(work)
            kernel = rbf_kernel_(squared_distances(features.to(work), vectors), gamma)
            total.addmm_(kernel, weights[start : start + _BLOCK].to(work))
        return total.to(home)

    def pair_weights(self) -> Tensor:
        """Return the weight of each support vector in each duel [S, pairs], 0 where it has none."""
        # Row r of the dual coefficients of a vector of class c is for its duel with class r, but
        # that its own class is left out of the count: LIBSVM's packing.
        bounds = [0, *self.support_counts.cumsum(0).tolist()]
        columns = []
        for i in range(len(self.classes)):
            for j in range(i + 1, len(self.classes)):
                column = self.dual_coefficients.new_zeros(len(self.support_vectors))
                one, other = slice(*bounds[i : i + 2]), slice(*bounds[j : j + 2])
                column[one] = self.dual_coefficients[j - 1, one]
                column[other] = self.dual_coefficients[i, other]
                columns.append(column)
        return torch.stack(columns, dim=1)


def one_vs_rest(margins: Tensor, classes: Sequence[int], num_classes: int) -> Tensor:
    """Turn the decisions of pairs of classes into a score of each class against the rest.

    Args:
        margins: float64 [B, P (P - 1) / 2], for each pair of classes; positive for the first of it.
        classes: The P classes that occurred in training.
        num_classes: Number of classes K.

    Returns:
        float32 [B, K], see :meth:`SupportVectorClassifier.forward`.
    """
    present = len(classes)
    if present == 2:
        scores = torch.cat((margins, -margins), dim=1)
    else:
        first, second = torch.eye(present, dtype=margins.dtype, device=margins.device)[
            torch.triu_indices(present, present, offset=1, device=margins.device)
        ]
        ahead = (margins >= 0).to(margins.dtype)
        sums = margins @ (first - second)
        scores = ahead @ first + (1 - ahead) @ second + sums / (3 * (sums.abs() + 1))
    if present == num_classes:
        return scores.float()
    count = scores.shape[0]  # `len` would tie an exported graph to one number of samples
    lowest = (scores.min() - 1).clamp(max=-1.0) if count else scores.new_tensor(-1.0)
    missing = lowest.expand(count, 1)
    columns = [
        scores[:, classes.index(k)].unsqueeze(1) if k in classes else missing
        for k in range(num_classes)
    ]
    return torch.cat(columns, dim=1).float()


def arrays_of(machine: SVC, features: Tensor, gamma: float) -> dict[str, Tensor]:
    """Take the fitted arrays out of scikit-learn's machine.

    Args:
        machine: Fitted on the kernel of the features (``kernel="precomputed"``) or on themselves.
        features: What it was fitted on [N, F].
        gamma: Of the kernel.

    Returns:
        What :meth:`FittedArrays.fill` of a :class:`SupportVectorClassifier` takes.
    """
    # For two classes scikit-learn turns the sign of LIBSVM's own numbers.
    sign = -1.0 if len(machine.classes_) == 2 else 1.0
    return {
        "support_vectors": features[torch.from_numpy(machine.support_).long()].float().cpu(),
        "dual_coefficients": sign * torch.as_tensor(machine.dual_coef_, dtype=torch.float64),
        "intercepts": sign * torch.as_tensor(machine.intercept_, dtype=torch.float64),
        "support_counts": torch.as_tensor(machine.n_support_, dtype=torch.int64),
        "classes": torch.as_tensor(machine.classes_, dtype=torch.int64),
        "gamma": torch.tensor(gamma, dtype=torch.float64),
        "cost": torch.tensor(float(machine.C), dtype=torch.float64),
    }


class TemperatureScaling(FittedArrays):
    """From one-vs-rest scores to probabilities that are right as often as they say.

    Reference:
        Guo et al., On calibration of modern neural networks (ICML 2017), 4.2.

    Deviation:
        The paper gives no probabilities. One number that divides all scores leaves the answer of
        the machine as it is, which Platt's two for each class would not.
    """

    temperature: Tensor

    def __init__(self) -> None:
        super().__init__(temperature=torch.ones((), dtype=torch.float64))

    def forward(self, scores: Tensor) -> Tensor:
        """Return probabilities float32 [B, K] of scores [B, K]; the largest stays the largest."""
        return (scores / self.temperature.float()).softmax(dim=1)


class LinearMachines(FittedArrays):
    """A linear support vector machine for each action unit.

    Axis letters: A action units, F features.

    Args:
        num_units: Number of action units A.
    """

    weights: Tensor
    intercepts: Tensor
    costs: Tensor

    def __init__(self, num_units: int) -> None:
        super().__init__(
            weights=torch.zeros(num_units, 0, dtype=torch.float64),
            intercepts=torch.zeros(num_units, dtype=torch.float64),
            costs=torch.zeros(num_units, dtype=torch.float64),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Return margins float32 [B, A] of features [B, F]; NaN for a unit that was not fitted."""
        if not self.fitted:
            raise UserError("These support vector machines were never fitted.")
        if features.shape[1] != self.weights.shape[1]:
            raise UserError(
                f"The support vector machines were fitted on {self.weights.shape[1]} features, "
                f"but are given {features.shape[1]}."
            )
        work = torch.device("cpu") if features.device.type == "mps" else features.device
        weights, intercepts = self.weights.to(work), self.intercepts.to(work)
        margins = features.to(work, torch.float64) @ weights.T + intercepts
        # A weight of NaN would stop the guard of checkpoints; a cost of 0 marks what was skipped.
        margins[:, self.costs.to(work) == 0] = torch.nan
        return margins.float().to(features.device)
