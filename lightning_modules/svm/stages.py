"""What the stages of a fit have reached, written down so that a kill costs one step of one."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor


class Stages:
    """Results of stages in a folder, each written aside and put in place when it is whole.

    Args:
        folder: Their folder; made when there is something to write.
        key: What the results depend on; those written under another key are not taken.
    """

    def __init__(self, folder: Path, key: str) -> None:
        self._folder = folder
        self._key = key

    def load(self, stage: str) -> Any:
        """Return what a stage has written, or None where it wrote nothing that can be used."""
        try:
            content = torch.load(self._folder / f"{stage}.pt", weights_only=True)
        except Exception:  # missing, or damaged in whichever way: the stage is run again
            return None
        usable = isinstance(content, dict) and content.get("key") == self._key
        return content["result"] if usable else None

    def save(self, stage: str, result: Any) -> None:
        """Write what a stage has reached.

        Args:
            stage: Its name.
            result: Tensors and plain values.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        aside = self._folder / f".{stage}.partial"
        with aside.open("wb") as file:
            torch.save({"key": self._key, "result": result}, file)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(self._folder / f"{stage}.pt")

    def remove(self) -> None:
        """Remove the folder, once a checkpoint holds what came of it."""
        shutil.rmtree(self._folder, ignore_errors=True)


def fingerprint(tensors: Iterable[Tensor], *values: object) -> str:
    """Return the SHA-256 of tensors, bit by bit, and of plain values, in hexadecimal."""
    digest = hashlib.sha256(repr(values).encode())
    for tensor in tensors:
        plain = tensor.detach().cpu().contiguous()
        digest.update(f"{plain.dtype}{tuple(plain.shape)}".encode())
        digest.update(plain.flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
