"""A device without values, on which nobody can read what they would have to wait for.

On a GPU the host runs ahead: it hands out work and reads no result. Whatever reads a value, or
copies from memory that is not pinned, waits until all the work is done. The tensors of torch's
device ``meta`` have shapes and no values, so that reading one is an error.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import WeightAveraging
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

META = torch.device("meta")


class WaitingError(Exception):
    """The host would have waited for the device."""


class NoWaiting(TorchDispatchMode):
    """Raises where values of the host and the device meet in a way that waits.

    Reading a value of the device raises by itself.
    """

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        result = func(*args, **kwargs)
        made = [leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
        there = any(leaf.is_meta for leaf in (*given, *made))
        # A scalar of the host is an argument of the work that is handed out.
        here = [leaf for leaf in given if not leaf.is_meta and leaf.ndim]
        if there and here and not _asks_not_to_wait(func, args, kwargs):
            raise WaitingError(f"{func} on {[tuple(leaf.shape) for leaf in here]} of the host")
        return result


class NoLists(TorchFunctionMode):
    """Raises where numbers of Python go to the device, which is a copy from the host, too."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func in (torch.tensor, torch.as_tensor, Tensor.new_tensor) and result.is_meta:
            raise WaitingError(f"{func.__name__} on the device")
        return result


@contextmanager
def no_waiting() -> Iterator[None]:
    """Raise where the host would wait for the device ``meta``."""
    with NoWaiting(), NoLists():
        yield


def _asks_not_to_wait(func: Any, args: Any, kwargs: Any) -> bool:
    if kwargs.get("non_blocking") or (func is torch.ops.aten.copy_.default and args[2:]):
        return True
    # kornia asks so where the device is a GPU.
    return any(frame.name == "_to_device_nonblocking" for frame in traceback.extract_stack())


class OnValuelessDevice(Callback):
    """Moves a training to the device without values before its first step."""

    def __init__(self) -> None:
        self.steps = 0
        self._watching = ExitStack()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        pl_module.to(META)
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            if isinstance(callback, WeightAveraging):
                callback._average_model.to(META)
        trainer.strategy._root_device = META
        trainer.strategy.setup_optimizers(trainer)

    def on_train_epoch_start(self, *_: Any) -> None:
        self._watching.enter_context(no_waiting())

    def on_train_batch_end(self, *_: Any) -> None:
        self.steps += 1

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._watching.close()
        raise EndOfEpochError

    def on_exception(self, *_: Any) -> None:
        self._watching.close()


class EndOfEpochError(Exception):
    """What comes after an epoch is not looked at."""


@contextmanager
def without_values(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let Lightning and autocast take the device ``meta``."""

    class Autocast(torch.autocast):  # it knows no such device
        def __init__(self, device_type: str, *args: Any, **kwargs: Any) -> None:
            super().__init__("cpu" if device_type == "meta" else device_type, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(torch, "autocast", Autocast)
        # It would bring back what is on the device.
        patch.setattr(Trainer, "_teardown", lambda self: None)
        yield
