"""The outputs of a step by their names, and the samples of all processes together."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import lightning.pytorch as pl
import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor

from datamodules.errors import UserError

Samples = dict[str, NDArray[Any]]
T = TypeVar("T")

_PARTS = 64  # batches that are held before they become one array


class TestSamples(pl.Callback, ABC):
    """Collects outputs of all test samples, for a figure or a file of them.

    The processes of a run put their samples together, each ``sample_id`` once. A subclass names
    the outputs and uses them.
    """

    __test__ = False  # pytest: not a test

    keys: tuple[str, ...]
    """Outputs of the test step that are needed, beside ``sample_id``; see `read`."""
    unit_keys: tuple[str, ...] = ()
    """The same where a method recognises action units; none to leave its test alone."""

    def __init__(self) -> None:
        self._parts: list[Samples] = []

    @abstractmethod
    def on_test_samples(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, samples: Samples
    ) -> None:
        """Use the outputs of all samples, in the order of their ids; on rank zero only."""

    def trim(self, samples: Samples) -> Samples:
        """Leave out samples that are not needed, the same ones however they were dealt out."""
        return samples

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Forget the samples of an earlier test."""
        self._parts = []

    def on_test_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, *_: Any
    ) -> None:
        """Keep the outputs of a batch."""
        keys = self.unit_keys if "unit_margins" in (outputs or {}) else self.keys
        if not keys:
            return
        found = require(self, pl_module, outputs, (*keys, "sample_id"))
        self._parts.append({key: array(value) for key, value in found.items()})
        if len(self._parts) >= _PARTS:
            self._parts = [self._joined()]

    def on_test_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Put the samples of all processes together and use them."""
        samples = join_samples(self._joined())
        self._parts = []
        if trainer.is_global_zero and samples:
            self.on_test_samples(trainer, pl_module, self.trim(samples))

    def _joined(self) -> Samples:
        return self.trim(concatenate(self._parts)) if self._parts else {}


def read(outputs: Mapping[str, Any], name: str) -> Any:
    """Return an output of a step, None where there is none.

    Args:
        outputs: What the step returned.
        name: Of the output. ``scores`` [B, K], of which the highest is the answer, are a network's
            ``logits``, and ``probabilities`` [B, K] are the softmax of these in double precision,
            on the CPU, unless the step returns them under their own names.
    """
    if name not in outputs and "logits" in outputs:
        if name == "scores":
            return outputs["logits"]
        if name == "probabilities":
            return outputs["logits"].detach().cpu().double().softmax(dim=1)
    return outputs.get(name)


def answers_of(outputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the ``scores`` of a step and its ``probabilities``, None where there are none."""
    probabilities = read(outputs, "probabilities")
    return {
        "scores": array(read(outputs, "scores")),
        "probabilities": None if probabilities is None else array(probabilities),
    }


def require(
    callback: pl.Callback,
    pl_module: pl.LightningModule,
    outputs: Mapping[str, Any] | None,
    names: Sequence[str],
) -> dict[str, Any]:
    """Read the outputs that a callback cannot do without, by the names that `read` takes.

    Raises:
        UserError: If a step of the method does not return them.
    """
    found = {name: read(outputs or {}, name) for name in names}
    missing = [name for name, value in found.items() if value is None]
    if missing:
        raise UserError(
            f"{type(callback).__name__} needs {' and '.join(missing)} of a step, which "
            f"{type(pl_module).__name__} does not return: take it out of the callbacks."
        )
    return found


def gather(value: T) -> list[T]:
    """Collect a small picklable value from every process, in the order of the ranks.

    Every process must call it. One process alone gets its own value.
    """
    if not (dist.is_available() and dist.is_initialized()):
        return [value]
    values: list[T] = [value] * dist.get_world_size()
    dist.all_gather_object(values, value)
    return values


def concatenate(parts: Sequence[Samples]) -> Samples:
    """Put samples [N, ...] of the same names behind each other; empty where there are none."""
    names = parts[0] if parts else ()
    return {name: np.concatenate([part[name] for part in parts]) for name in names}


def join_samples(columns: Samples) -> Samples:
    """Put the samples of all processes together, each once; every process must call it.

    Args:
        columns: Values of the samples of this process [N, ...] by name, one of them ``sample_id``;
            empty where it was dealt none.

    Returns:
        Those of all processes, in the order of their ids; empty where no process has any.
    """
    parts = [part for part in gather(columns) if part]
    if not parts:
        return {}
    whole = concatenate(parts)
    # A distributed sampler may repeat some.
    _, first = np.unique(whole["sample_id"], return_index=True)
    return {name: values[first] for name, values in whole.items()}


def array(value: Tensor) -> NDArray[Any]:
    """Turn a tensor of any type and device into an array."""
    # NumPy knows no bfloat16.
    whole = value.detach().cpu()
    return np.asarray(whole.float() if value.dtype in (torch.bfloat16, torch.float16) else whole)
