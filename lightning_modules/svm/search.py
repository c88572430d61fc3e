"""Bayesian search of a machine's parameters inside grouped folds, resumed after a kill."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from torch import Tensor

from datamodules.errors import UserError
from datamodules.store.replacing import replacing

Fold = tuple[NDArray[np.int64], NDArray[np.int64]]


class Trial(NamedTuple):
    """One set of parameters that was tried.

    Attributes:
        parameters: Their values by name.
        score: Mean over the folds; higher is better.
    """

    parameters: dict[str, float]
    score: float


class Range(NamedTuple):
    """Where to look for a parameter, on a logarithmic scale.

    Attributes:
        low: Lowest value, above 0.
        high: Highest value.
        first: The value of the first trial, so that no search ends below the usual default.
    """

    low: float
    high: float
    first: float


def grouped_folds(
    labels: NDArray[np.int64], groups: NDArray[np.int64] | None, folds: int, seed: int
) -> list[Fold]:
    """Split samples into folds with about equal shares of the classes, nobody on two sides.

    Args:
        labels: Classes [N].
        groups: Person of each sample [N]; None where nobody knows.
        folds: Number of folds.
        seed: Seed of the shuffling.

    Returns:
        For each fold the indices to fit on and those to score.

    Raises:
        UserError: If there are fewer samples or people than folds.
    """
    units = len(labels) if groups is None else len(np.unique(groups))
    if folds < 2 or units < folds:
        what = "samples" if groups is None else "people"
        raise UserError(
            f"A search in {folds} folds needs at least 2 folds, and as many {what} as folds, but "
            f"the training part has {units} {what}: change model.search_folds."
        )
    # scikit-learn refuses classes that are all smaller than the number of folds.
    if np.unique(labels, return_counts=True)[1].max() < folds:
        labels = np.zeros_like(labels)
    options = {"n_splits": folds, "shuffle": True, "random_state": seed}
    splitter = StratifiedKFold(**options) if groups is None else StratifiedGroupKFold(**options)
    with warnings.catch_warnings():
        # A class with fewer samples than folds is missing from some; no rule can change that.
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        return list(splitter.split(labels, labels, groups))


def search(
    score: Callable[[dict[str, float]], float],
    ranges: Mapping[str, Range],
    *,
    trials: int,
    seed: int,
    done: Sequence[Trial] = (),
    after_each: Callable[[list[Trial]], None] = lambda trials: None,
) -> list[Trial]:
    """Look for the parameters with the highest score.

    Each trial is a function of the seed and of the trials before it, so that a search that goes
    on after a kill tries what the uninterrupted one would have tried.

    Args:
        score: Rates parameters.
        ranges: Where to look.
        trials: Number of trials, those already done included.
        seed: Seed.
        done: Trials of the same search that an earlier process made.
        after_each: Called with all trials after each, to write them down.

    Returns:
        All trials in their order.

    Reference:
        Bergstra et al., Algorithms for hyper-parameter optimization (NeurIPS 2011).

    Deviation:
        The paper uses MATLAB's bayesopt, a Gaussian process; this is a tree-structured Parzen
        estimator. The first trial is the usual default and the next few are drawn at random.
    """
    import optuna  # a second of importing that only a search should cost

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    space: dict[str, optuna.distributions.BaseDistribution] = {
        name: optuna.distributions.FloatDistribution(limits.low, limits.high, log=True)
        for name, limits in ranges.items()
    }
    results = list(done)
    for number in range(len(results), trials):
        if number == 0:
            parameters = {name: limits.first for name, limits in ranges.items()}
        else:
            (word,) = np.random.SeedSequence([seed, number]).generate_state(1, np.uint32)
            sampler = optuna.samplers.TPESampler(n_startup_trials=4, seed=int(word))
            study = optuna.create_study(direction="maximize", sampler=sampler)
            study.add_trials(
                [
                    optuna.create_trial(params=one.parameters, distributions=space, value=one.score)
                    for one in results
                ]
            )
            parameters = study.ask(space).params
        results.append(Trial(parameters, score(parameters)))
        after_each(results)
    return results


def best(trials: Sequence[Trial]) -> Trial:
    """Return the first of the trials with the highest score."""
    return max(trials, key=lambda trial: trial.score)


class StepResults:
    """Results of the steps of a fit in a folder, so that a kill costs one step.

    Args:
        folder: Their folder; made when there is something to write.
        key: What the results depend on; those written under another key are not taken.
    """

    def __init__(self, folder: Path, key: str) -> None:
        self._folder = folder
        self._key = key

    def load(self, step: str) -> Any:
        """Return what a step has written, or None where it wrote nothing that can be used."""
        try:
            content = torch.load(self._folder / f"{step}.pt", weights_only=True)
        except Exception:  # missing, or damaged in whichever way: the step is run again
            return None
        usable = isinstance(content, dict) and content.get("key") == self._key
        return content["result"] if usable else None

    def save(self, step: str, result: Any) -> None:
        """Write the result of a step, tensors and plain values."""
        with replacing(self._folder / f"{step}.pt") as aside:
            torch.save({"key": self._key, "result": result}, aside)


def fingerprint(tensors: Iterable[Tensor], *values: object) -> str:
    """Return the SHA-256 of tensors, bit by bit, and of plain values, in hexadecimal."""
    digest = hashlib.sha256(repr(values).encode())
    for tensor in tensors:
        plain = tensor.detach().cpu().contiguous()
        digest.update(f"{plain.dtype}{tuple(plain.shape)}".encode())
        digest.update(plain.flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


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
