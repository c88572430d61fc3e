"""Classifiers that are fitted once, before a training that only asks for their answers."""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm  # type: ignore[import-untyped]

from datamodules.errors import UserError

Samples = Iterable[tuple[Tensor, Tensor]]


class FittedClassifier(nn.Module, ABC):
    """A classifier that learns before a training and stays as it is from then on.

    Whether its weights mean anything is part of its state, as the buffer ``fitted``.
    """

    fitted: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("fitted", torch.tensor(False))

    @abstractmethod
    def mirror(self, sample: Tensor) -> Tensor:
        """Return what samples [B, C, H, W] are in a mirror."""


def fit_classifier(
    model: FittedClassifier,
    samples: Callable[[int], Samples],
    *,
    name: str,
    epochs: int,
    steps: int = 0,
    lr: float = 1e-3,
    seed: int = 0,
) -> float:
    """Fit a classifier by Adam and cross-entropy, and leave it frozen.

    A function of the model, the samples and the seed alone: the caller's random state is neither
    read nor moved.

    Args:
        model: The classifier; its weights are drawn anew.
        samples: Returns, for an epoch from 0, an iterable of samples [B, C, H, W] with their class
            indices [B], in an order of that epoch's own.
        name: What the progress bar and errors call it.
        epochs: Passes over the samples; stops early once every sample is recognised.
        steps: Fewest steps: where few samples make few steps a pass, there are more passes.
        lr: Learning rate.
        seed: Of the initial weights, dropout and the mirroring of samples.

    Returns:
        The share of the samples of the last pass that was recognised while learning.

    Raises:
        UserError: If there is no sample.
    """
    device = model.fitted.device
    devices = [device] if device.type == "cuda" else []
    accuracy = 0.0
    with torch.random.fork_rng(devices), torch.enable_grad(), torch.inference_mode(False):
        torch.manual_seed(seed)
        for module in model.modules():
            if isinstance(module, nn.Conv2d | nn.BatchNorm2d | nn.Linear):
                module.reset_parameters()
        model.requires_grad_(True).train()
        optimizer = torch.optim.Adam(model.parameters(), lr=lr)
        passes = tqdm(itertools.count(), desc=f"Fitting {name}", unit="pass", leave=False)
        taken = 0
        for epoch in passes:
            seen, right = 0, torch.zeros((), device=device)
            for inputs, labels in samples(epoch):
                inputs, labels = inputs.to(device), labels.to(device)
                mirrored = torch.rand(len(inputs), 1, 1, 1, device=device) < 0.5
                logits = model(torch.where(mirrored, model.mirror(inputs), inputs))
                optimizer.zero_grad()
                functional.cross_entropy(logits, labels).backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                taken += 1
                seen += len(labels)
                right += (logits.argmax(dim=1) == labels).sum()
            if not seen:
                raise UserError(f"{name} has nothing to learn from: the training fold is empty.")
            accuracy = right.item() / seen
            if accuracy == 1.0 or (epoch + 1 >= epochs and taken >= steps):
                break
    model.requires_grad_(False)
    model.fitted.fill_(True)
    return accuracy
