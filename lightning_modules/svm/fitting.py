"""The fit of a run's machines, stage by stage, each written down as it is reached."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from lightning.pytorch.utilities import rank_zero_info
from numpy.typing import NDArray
from torch import Tensor

from datamodules.errors import UserError
from datamodules.labels import ACTION_UNITS
from lightning_modules.svm.action_units import LinearSearch
from lightning_modules.svm.classification import KernelSearch
from lightning_modules.svm.search import Trial, best
from lightning_modules.svm.stages import Stages


class Protocol(NamedTuple):
    """How parameters are searched.

    Attributes:
        trials: Number of trials.
        folds: Number of folds of the training part.
        seed: Seed of folds and trials.
        class_weight: balanced, or None for classes that weigh what they have samples.
    """

    trials: int
    folds: int
    seed: int
    class_weight: Literal["balanced"] | None


def fit_machines(
    stages: Stages,
    extract: Callable[[], Tensor],
    labels: NDArray[np.int64],
    units: NDArray[np.int64] | None,
    groups: NDArray[np.int64] | None,
    protocol: Protocol,
    device: torch.device,
) -> dict[str, Tensor]:
    """Extract features, search and fit, from where the stages have come.

    Args:
        stages: Where what was reached is written down.
        extract: Returns the features of the training part [N, F].
        labels: Classes [N].
        units: Which action units each sample shows [N, A], 0 or 1; None where expressions are to
            be named.
        groups: Person of each sample [N], or None.
        protocol: How to search.
        device: Where distances are computed.

    Returns:
        Arrays of a ``SupportVectorClassifier`` or of ``LinearMachines``.
    """
    arrays: dict[str, Tensor] | None = stages.load("machine")
    if arrays is not None:
        return arrays
    features: Tensor | None = stages.load("features")
    if features is None:
        features = extract()
        stages.save("features", features)
    rank_zero_info(f"SVM: {len(features)} faces of {features.shape[1]} features.")
    if units is None:
        arrays = fit_classifier(stages, features, labels, groups, protocol, device)
    else:
        names = [f"AU{unit}" for unit in ACTION_UNITS]
        arrays = fit_units(stages, features, units, groups, protocol, names)
    stages.save("machine", arrays)
    return arrays


def fit_classifier(
    stages: Stages,
    features: Tensor,
    labels: NDArray[np.int64],
    groups: NDArray[np.int64] | None,
    protocol: Protocol,
    device: torch.device,
) -> dict[str, Tensor]:
    """Search and fit the machine that names expressions, from where the stages have come.

    Args:
        stages: Where the trials are written down.
        features: Features of the training part [N, F].
        labels: Classes [N].
        groups: Person of each sample [N], or None.
        protocol: How to search.
        device: Where distances are computed.

    Returns:
        Arrays of a ``SupportVectorClassifier``.
    """
    task = KernelSearch(
        features,
        labels,
        groups,
        folds=protocol.folds,
        seed=protocol.seed,
        class_weight=protocol.class_weight,
        device=device,
    )

    def note(trials: list[Trial]) -> None:
        stages.save("trials", _plain(trials))
        _say(f"SVM, trial {len(trials)} of {protocol.trials}", trials[-1], "accuracy")

    trials = task.search(protocol.trials, _trials(stages.load("trials")), note)
    _say("SVM, best", best(trials), "accuracy")
    return task.fit(trials)


def fit_units(
    stages: Stages,
    features: Tensor,
    units: NDArray[np.int64],
    groups: NDArray[np.int64] | None,
    protocol: Protocol,
    names: list[str],
) -> dict[str, Tensor]:
    """Search and fit a linear machine for each action unit, from where the stages have come.

    Args:
        stages: Where the trials are written down.
        features: Features of the training part [N, F].
        units: Which units each sample shows [N, A], 0 or 1.
        groups: Person of each sample [N], or None.
        protocol: How to search.
        names: Names of the A units.

    Returns:
        Arrays of ``LinearMachines``.

    Raises:
        UserError: If no unit is both present and absent in the training part.
    """
    task = LinearSearch(
        features,
        units,
        groups,
        folds=protocol.folds,
        seed=protocol.seed,
        class_weight=protocol.class_weight,
    )
    skipped = task.skipped()
    if len(skipped) == len(names):
        raise UserError(
            f"None of the {len(names)} Action Units is both present and absent in the training "
            "part: there is nothing to learn."
        )
    if skipped:
        rank_zero_info(
            "n/a, because all or none of the training faces show it: "
            + ", ".join(names[unit] for unit in skipped)
        )
    tried: list[list[Trial]] = [_trials(one) for one in stages.load("trials") or [[]] * len(names)]
    for unit, name in enumerate(names):
        if unit in skipped:
            continue

        def note(trials: list[Trial], unit: int = unit) -> None:
            tried[unit] = trials
            stages.save("trials", [_plain(one) for one in tried])

        tried[unit] = task.search(unit, protocol.trials, tried[unit], note)
        _say(f"SVM of {name}, best", best(tried[unit]), "AUC")
    return task.fit(tried)


def _plain(trials: list[Trial]) -> list[list[Any]]:
    return [[trial.parameters, trial.score] for trial in trials]


def _trials(plain: Any) -> list[Trial]:
    return [Trial(parameters, score) for parameters, score in plain or []]


def _say(what: str, trial: Trial, measure: str) -> None:
    parameters = ", ".join(f"{name} {value:.3g}" for name, value in trial.parameters.items())
    rank_zero_info(f"{what}: {measure} {trial.score:.3f} in its folds, with {parameters}.")
