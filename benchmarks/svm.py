"""The search and the fit of an SVM on one matrix of distances, against SVC on raw features."""

from __future__ import annotations

import time

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.svm import SVC
from torch import Tensor

from benchmarks.measuring import Result, Watch
from lightning_modules.svm.classification import KernelSearch
from lightning_modules.svm.search import best

_CLASSES = 7
_FOLDS = 3
_RAW_FITS = 2


def measure(*, quick: bool = False) -> Result:
    """Search and fit on generated features of the size of RAF-DB's, and time SVC beside it.

    scikit-learn's SVC on raw features would take hours for the whole search: it makes two of its
    fits, with the parameters of the search's first trials, and their mean is multiplied by the
    number of fits of the search. Its final fit, the longest, is left out.
    """
    samples, width, trials = (150, 40, 3) if quick else (12_271, 8_192, 10)
    features, labels = make_features(samples, width)
    searching, fitting = Watch(), Watch()
    with searching:
        began = time.perf_counter()
        task = KernelSearch(features, labels, None, folds=_FOLDS, seed=0)
        distances = time.perf_counter() - began
        found = task.search(trials)
        searched = time.perf_counter() - began
    # Now, because the fit uses up the distances; its memory is not ours.
    raw = _raw(task, features, [trial.parameters for trial in found[:_RAW_FITS]])
    with fitting:
        began = time.perf_counter()
        task.fit(found)
        fitted = time.perf_counter() - began
    ours = searched + fitted
    fits = trials * _FOLDS
    return {
        "what": "SVM stage: SVC on raw features / ours",
        "ratio": raw["mean_seconds"] * fits / ours,
        "bound": "at least 5, within 600 s and 12000 MB",
        "details": {
            "samples": samples,
            "features": width,
            "fits": fits,
            "seconds": round(ours, 1),
            "distances_seconds": round(distances, 1),
            "final_fit_seconds": round(fitted, 1),
            "raw_fit_seconds": round(raw["mean_seconds"], 2),
            "raw_fits_measured": raw["count"],
            "peak_mb": round(max(searching.peak, fitting.peak)),
            "accuracy": best(found).score,
            "decisions_compared": raw["compared"],
            "decisions_that_differ": raw["differing"],
        },
    }


def make_features(samples: int, width: int) -> tuple[Tensor, NDArray[np.int64]]:
    """Draw features as rectified sums of a few causes, one of them a weak class.

    Returns:
        float32 [N, F] and classes [N].
    """
    random = torch.Generator().manual_seed(0)
    labels = torch.randint(_CLASSES, (samples,), generator=random)
    causes = torch.randn(samples, 64, generator=random)
    causes[:, :_CLASSES] += 2.0 * torch.nn.functional.one_hot(labels, _CLASSES)
    mixed = causes @ torch.randn(64, width, generator=random) / 8
    mixed += torch.randn(samples, width, generator=random)
    return torch.nn.functional.leaky_relu(mixed, 0.2), labels.numpy()


def _raw(
    task: KernelSearch, features: Tensor, parameters: list[dict[str, float]]
) -> dict[str, float]:
    """Make fits of SVC on raw features, and compare their decisions with ours."""
    raw = features.double().numpy()
    seconds, compared, differing = [], 0, 0
    # Of different trials: what a fit takes depends on its parameters.
    for number, values in enumerate(parameters):
        fold = task.folds[number % len(task.folds)]
        cost, gamma = task.cost_and_gamma(values)
        began = time.perf_counter()
        machine = SVC(C=cost, gamma=gamma, break_ties=True, cache_size=500)
        machine.fit(raw[fold[0]], task.labels[fold[0]])
        decisions = machine.predict(raw[fold[1]])
        seconds.append(time.perf_counter() - began)
        compared += len(decisions)
        differing += int((decisions != task.predict(values, fold)).sum())
    return {
        "mean_seconds": float(np.mean(seconds)),
        "count": len(seconds),
        "compared": compared,
        "differing": differing,
    }
