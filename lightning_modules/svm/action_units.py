"""The search and the fit of the linear machines, one for each action unit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from sklearn.svm import LinearSVC
from torch import Tensor

from lightning_modules.svm.classification import check_features
from lightning_modules.svm.search import Fold, Range, Trial, best, grouped_folds, search

_COST = Range(1e-3, 1e2, 1.0)

Units = NDArray[np.int64]


class LinearSearch:
    """The search for C and the fit with the best, for one action unit after the other.

    A linear machine lies in the span of the features it is fitted on, so that N samples of F > N
    features are turned into N coordinates first: the same machines, sooner.

    Args:
        features: Feature vectors [N, F].
        units: Which action units each sample shows [N, A], 0 or 1.
        groups: Person of each sample [N]; None where nobody knows.
        folds: Number of folds of the search.
        seed: Seed of the folds and of the search.
        class_weight: balanced weighs presence and absence by one over their frequency.

    Raises:
        UserError: If the features are not finite or all equal.

    Deviation:
        Features are centred and divided by one number, so that a C means the same for all; the
        weights that are kept are those of the features as they are.
    """

    def __init__(
        self,
        features: Tensor,
        units: Units,
        groups: NDArray[np.int64] | None,
        *,
        folds: int,
        seed: int,
        class_weight: Literal["balanced"] | None = None,
    ) -> None:
        check_features(features)
        wide = features.double()
        self._mean = wide.mean(dim=0)
        wide = wide - self._mean
        self._scale = float(wide.square().sum(dim=1).mean().sqrt())
        wide /= self._scale
        self._basis: Tensor | None = None
        if wide.shape[1] > wide.shape[0]:
            self._basis, coordinates = torch.linalg.qr(wide.T)
            wide = coordinates.T.contiguous()
        self._features = wide.numpy()
        self._units = units
        self._groups = groups
        self._fold_count = folds
        self._seed = seed
        self._class_weight = class_weight

    def skipped(self) -> list[int]:
        """Return the columns of units that no sample shows, or that all show."""
        return [unit for unit, shown in enumerate(self._units.T) if len(np.unique(shown)) < 2]

    def search(
        self,
        unit: int,
        trials: int,
        done: Sequence[Trial] = (),
        after_each: Callable[[list[Trial]], None] = lambda trials: None,
    ) -> list[Trial]:
        """Try values of C for a unit; see :func:`lightning_modules.svm.search.search`.

        Args:
            unit: Column of the unit; not one of those skipped.
            trials: Number of trials.
            done: Trials that an earlier process made.
            after_each: Called with all trials after each.

        Returns:
            Trials of ``cost``, scored by the mean area under the ROC curve over the folds that
            have both samples with and without the unit; 0 where there is no such fold.
        """
        shown = self._units[:, unit]
        folds = [
            fold
            for fold in grouped_folds(shown, self._groups, self._fold_count, self._seed)
            if all(len(np.unique(shown[part])) == 2 for part in fold)
        ]
        return search(
            lambda parameters: self._score(parameters["cost"], shown, folds),
            {"cost": _COST},
            # Without a fold to judge by, the default is as good as any.
            trials=trials if folds else 1,
            seed=self._seed,
            done=done,
            after_each=after_each,
        )

    def fit(self, trials: Sequence[Sequence[Trial]]) -> dict[str, Tensor]:
        """Fit the machine of the best trial of each unit on all samples.

        Args:
            trials: Of each unit; empty for those skipped.

        Returns:
            The arrays that ``LinearMachines`` are filled with; a skipped unit has zeros.
        """
        count, width = self._units.shape[1], len(self._mean)
        weights = torch.zeros(count, width, dtype=torch.float64)
        intercepts, costs = torch.zeros(2, count, dtype=torch.float64)
        for unit, tried in enumerate(trials):
            if tried:
                cost = best(tried).parameters["cost"]
                machine = self._machine(cost).fit(self._features, self._units[:, unit])
                own = torch.from_numpy(machine.coef_[0])
                own = own if self._basis is None else self._basis @ own
                weights[unit] = own / self._scale
                intercepts[unit] = float(machine.intercept_[0]) - weights[unit] @ self._mean
                costs[unit] = cost
        return {"weights": weights, "intercepts": intercepts, "costs": costs}

    def _score(self, cost: float, shown: NDArray[np.int64], folds: Sequence[Fold]) -> float:
        areas = []
        for fitted, scored in folds:
            machine = self._machine(cost).fit(self._features[fitted], shown[fitted])
            margins = machine.decision_function(self._features[scored])
            areas.append(roc_auc_score(shown[scored], margins))
        return float(np.mean(areas)) if areas else 0.0

    def _machine(self, cost: float) -> LinearSVC:
        # The primal problem is small, and Newton's method ends in a few steps without chance.
        return LinearSVC(C=cost, dual=False, tol=1e-6, class_weight=self._class_weight)
