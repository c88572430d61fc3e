"""The search, the calibration and the fit of the machine that names expressions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from sklearn.svm import SVC
from torch import Tensor
from torch.nn import functional

from datamodules.errors import UserError
from lightning_modules.svm.gram import mean_variance, rbf_kernel_, squared_distances
from lightning_modules.svm.modules import SupportVectorClassifier, arrays_of
from lightning_modules.svm.search import Fold, Range, Trial, best, grouped_folds, search

# scikit-learn's defaults come first: C = 1, and gamma one over the variance of the features.
_COST = Range(1e-2, 1e3, 1.0)
_FACTOR = Range(1e-2, 1e2, 1.0)
# LIBSVM's cache of kernel rows, in MB.
_CACHE = 500
# Natural logarithms of the lowest and the highest temperature.
_TEMPERATURES = (-5.0, 5.0)


def fit_temperature(scores: Tensor, labels: Tensor) -> Tensor:
    """Find the temperature at which the cross-entropy of scores is lowest.

    Args:
        scores: Scores [N, K] of samples that the machine was not fitted on.
        labels: Classes [N].

    Returns:
        float64 scalar, above 0.

    Reference:
        Platt (1999), 2.2, for targets a little below 1, so that scores without an error do not
        make certain of everything.
    """
    smoothing = 1 / (len(labels) + 2)

    def cross_entropy(logarithm: float) -> float:
        tempered = scores.double() / float(np.exp(logarithm))
        return float(functional.cross_entropy(tempered, labels, label_smoothing=smoothing))

    found = minimize_scalar(cross_entropy, bounds=_TEMPERATURES, method="bounded")
    return torch.tensor(float(np.exp(found.x)), dtype=torch.float64)


class KernelSearch:
    """The search for C and gamma, and the fit with the best.

    The squared distances are computed once; the kernel of every gamma, on every fold, is an
    exponential of a part of them, and scikit-learn's SVC takes it as it is.

    Args:
        features: Feature vectors [N, F].
        labels: Classes [N].
        groups: Person of each sample [N]; None where nobody knows.
        folds: Number of folds of the search.
        seed: Seed of the folds and of the search.
        class_weight: balanced weighs each class by one over its frequency.
        device: Where distances are computed.

    Attributes:
        folds: The folds of the search.
        labels: Classes [N].

    Raises:
        UserError: If the features are not finite or all equal, or there is one class only.
    """

    def __init__(
        self,
        features: Tensor,
        labels: NDArray[np.int64],
        groups: NDArray[np.int64] | None,
        *,
        folds: int,
        seed: int,
        class_weight: Literal["balanced"] | None = None,
        device: torch.device | None = None,
    ) -> None:
        check_features(features)
        if len(np.unique(labels)) < 2:
            raise UserError(
                f"All {len(labels)} training samples are of one class: there is nothing to tell "
                "apart."
            )
        self._features = features
        self._device = features.device if device is None else device
        self.labels = labels
        self._seed = seed
        self._class_weight = class_weight
        self.folds = grouped_folds(labels, groups, folds, seed)
        self._distances = squared_distances(features, device=device)
        self._variance = mean_variance(self._distances)

    def search(
        self,
        trials: int,
        done: Sequence[Trial] = (),
        after_each: Callable[[list[Trial]], None] = lambda trials: None,
    ) -> list[Trial]:
        """Try parameters; see :func:`lightning_modules.svm.search.search`.

        Returns:
            Trials of ``cost`` (C) and ``gamma_factor`` (gamma times the variance of the features),
            scored by their accuracy on samples of people that the machine has not seen.
        """
        ranges = {"cost": _COST, "gamma_factor": _FACTOR}
        return search(
            self._score, ranges, trials=trials, seed=self._seed, done=done, after_each=after_each
        )

    def fit(self, trials: Sequence[Trial]) -> dict[str, Tensor]:
        """Fit the machine of the best trial on all samples; uses the distances up.

        Returns:
            The arrays that a ``SupportVectorClassifier`` is filled with.
        """
        cost, gamma = self.cost_and_gamma(best(trials).parameters)
        kernel = rbf_kernel_(self._distances, gamma)
        machine = self._machine(cost).fit(kernel.numpy(), self.labels)
        return arrays_of(machine, self._features, gamma)

    def calibrate(self, trials: Sequence[Trial]) -> Tensor:
        """Fit the temperature of the best trial, on people that its machines have not seen.

        Args:
            trials: Those of the search.

        Returns:
            The temperature, a float64 scalar.
        """
        parameters = best(trials).parameters
        scores = torch.cat([self._scores(parameters, fold) for fold in self.folds])
        order = np.concatenate([scored for _, scored in self.folds])
        return fit_temperature(scores, torch.from_numpy(self.labels[order]))

    def _scores(self, parameters: dict[str, float], fold: Fold) -> Tensor:
        """Scores [M, K] of one side of a fold, by a machine that is fitted on the other."""
        fitted, scored = fold
        num_classes = int(self.labels.max()) + 1
        if len(np.unique(self.labels[fitted])) < 2:
            scores = torch.full((len(scored), num_classes), -1.0)
            scores[:, self.labels[fitted][0]] = 0.0
            return scores
        machine, gamma = self._fitted(parameters, fitted)
        fold_machine = SupportVectorClassifier(num_classes)
        fold_machine.fill(arrays_of(machine, self._features[fitted], gamma))
        fold_machine.to(self._device)
        answers: Tensor = fold_machine(self._features[scored].to(self._device))
        return answers.cpu()

    def _score(self, parameters: dict[str, float]) -> float:
        right = sum(
            int((self.predict(parameters, fold) == self.labels[fold[1]]).sum())
            for fold in self.folds
        )
        return right / len(self.labels)

    def predict(self, parameters: dict[str, float], fold: Fold) -> NDArray[np.int64]:
        """Fit on one side of a fold and recognise the other.

        Args:
            parameters: ``cost`` and ``gamma_factor``.
            fold: The indices to fit on and those to recognise.

        Returns:
            Classes of the latter.
        """
        fitted, scored = fold
        labels = self.labels[fitted]
        if len(np.unique(labels)) < 2:
            # All it could say is the one class that it knows.
            return np.full(len(scored), labels[0])
        machine, gamma = self._fitted(parameters, fitted)
        kernel = self._part(torch.from_numpy(scored), torch.from_numpy(fitted), gamma)
        classes: NDArray[np.int64] = machine.predict(kernel.numpy())
        return classes

    def _fitted(self, parameters: dict[str, float], rows: NDArray[np.int64]) -> tuple[SVC, float]:
        """The machine of a trial on some samples, and its gamma."""
        cost, gamma = self.cost_and_gamma(parameters)
        kernel = self._part(torch.from_numpy(rows), torch.from_numpy(rows), gamma)
        return self._machine(cost).fit(kernel.numpy(), self.labels[rows]), gamma

    def _part(self, rows: Tensor, columns: Tensor, gamma: float) -> Tensor:
        part = torch.empty(len(rows), len(columns), dtype=torch.float64)
        for start in range(0, len(rows), 1024):
            here = slice(start, start + 1024)
            part[here] = self._distances[rows[here]][:, columns]
        return rbf_kernel_(part, gamma)

    def cost_and_gamma(self, parameters: dict[str, float]) -> tuple[float, float]:
        """Return C and gamma of a trial."""
        return parameters["cost"], parameters["gamma_factor"] / self._variance

    def _machine(self, cost: float) -> SVC:
        return SVC(
            C=cost,
            kernel="precomputed",
            break_ties=True,
            cache_size=_CACHE,
            class_weight=self._class_weight,
        )


def check_features(features: Tensor) -> None:
    """Refuse features that no machine can be fitted on.

    Args:
        features: Feature vectors [N, F].

    Raises:
        UserError: If there are none, or they are not finite or all equal.
    """
    if len(features) == 0:
        raise UserError("There is no labelled sample to fit a support vector machine on.")
    broken = int((~torch.isfinite(features).all(dim=1)).sum())
    if broken:
        raise UserError(
            f"{broken} of {len(features)} feature vectors hold values that are not finite: the "
            "network that they come from has diverged. Train it with a lower learning rate."
        )
    if bool((features == features[0]).all()):
        raise UserError(
            f"All {len(features)} feature vectors are equal: there is nothing to tell faces apart "
            "by. The network that they come from has collapsed, or all images are the same."
        )
