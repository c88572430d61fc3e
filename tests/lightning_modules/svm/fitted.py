"""Machines fitted in a moment, without a search."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.svm import SVC

from datamodules.labels import ACTION_UNITS
from lightning_modules import DCGANSVM
from lightning_modules.svm.modules import arrays_of
from tests.lightning_modules.dcgan_fakes import draw_faces


def fit(method: DCGANSVM, labels: int = 3) -> DCGANSVM:
    """Fit the machines of a method on faces with bars, of so many classes."""
    label = np.arange(30) % labels
    faces = draw_faces(label, np.arange(30) // 4, seed=3)
    if method.size != faces.shape[1]:
        faces = faces.repeat(method.size // faces.shape[1], 1).repeat(
            method.size // faces.shape[1], 2
        )
    features = method.eval().extract(torch.from_numpy(faces).permute(0, 3, 1, 2) / 255)
    arrays = {}
    if (scaling := method.recogniser.scaling) is not None:
        arrays = scaling.fit(features)
        features = scaling(features)
    if method.task == "emotions":
        gamma = 1 / float(features.double().var(dim=0).sum())
        machine = SVC(gamma=gamma, break_ties=True).fit(features.double().numpy(), label)
        arrays |= arrays_of(machine, features, gamma)
        arrays["temperature"] = torch.tensor(0.7, dtype=torch.float64)
    else:
        generator = torch.Generator().manual_seed(1)
        shape = (len(ACTION_UNITS), features.shape[1])
        arrays["weights"] = torch.randn(shape, generator=generator, dtype=torch.float64)
        arrays["intercepts"] = torch.zeros(len(ACTION_UNITS), dtype=torch.float64)
        arrays["costs"] = torch.ones(len(ACTION_UNITS), dtype=torch.float64)
        arrays["costs"][2] = 0  # was not fitted
    method.recogniser.fill(arrays)
    return method
