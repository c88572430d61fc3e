"""A method in a checkpoint of `lightning fit`, built from the config that is in it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import lightning.pytorch as pl
import torch
from jsonargparse import ArgumentParser

from callbacks.outputs import answers_of, array
from datamodules.base import FERDataModule
from datamodules.errors import UserError
from datamodules.inputs.module import as_tensors
from datamodules.inputs.reading import InputBatch
from datamodules.loaders import to_float
from experiments.command.privacy import is_path
from experiments.recognition.method import Answers
from lightning_modules.networks.weights import read_checkpoint


class CheckpointMethod:
    """A trained method of a checkpoint, on the CPU.

    Args:
        path: The checkpoint.

    Raises:
        UserError: If there is no such checkpoint, or it is none of `lightning fit`.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise UserError(f"The checkpoint {path} does not exist: give the path of a file.")
        checkpoint = read_checkpoint(path)
        if "config" not in checkpoint:
            raise UserError(
                f"The checkpoint {path} says nothing of its config, so its method is not known: "
                "give one that lightning fit wrote."
            )
        self._model = load_model(checkpoint)
        data = load_data(checkpoint)
        if not isinstance(data, FERDataModule):
            raise UserError(f"{type(data).__name__} of {path} reads no pictures or films.")
        self.reading = data.reading()
        self.class_names = tuple(checkpoint.get("class_names", data.class_names))
        self.trained_on = data.trained_on

    def answer(self, batch: InputBatch) -> Answers:
        """Answer a batch of the reading."""
        with torch.inference_mode():
            outputs: Any = self._model.predict_step(to_float(as_tensors(batch)), 0)
        if "unit_margins" in outputs:
            return {"unit_margins": array(outputs["unit_margins"]).astype(float)}
        return cast(Answers, answers_of(outputs))


def load_model(checkpoint: dict[str, Any]) -> pl.LightningModule:
    """Build the model of a checkpoint and load its weights, for evaluation on the CPU."""
    spec = checkpoint["config"]["model"]
    # Optimizers and schedulers train; they are left at their defaults.
    arguments = {
        name: value
        for name, value in spec.get("init_args", {}).items()
        if not (isinstance(value, Mapping) and "class_path" in value)
    }
    built = _without_paths({"class_path": spec["class_path"], "init_args": arguments})
    model: pl.LightningModule = build(pl.LightningModule, built)
    model.on_load_checkpoint(checkpoint)
    model.load_state_dict(checkpoint["state_dict"])
    return model.eval()


def load_data(checkpoint: Mapping[str, Any]) -> pl.LightningDataModule:
    """Build the data module of a checkpoint, which then shows faces as they were in training."""
    built = _without_paths(checkpoint["config"]["data"])
    data: pl.LightningDataModule = build(pl.LightningDataModule, built)
    saved = checkpoint.get(type(data).__qualname__)
    if isinstance(data, FERDataModule) and saved:
        data.show_as_trained(saved)
    return data


def _without_paths(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out of a class and its arguments what names something on this machine.

    What a checkpoint says of folders may be anybody's, and none is needed.
    """
    arguments = {k: v for k, v in spec.get("init_args", {}).items() if not is_path(k, v)}
    return {"class_path": spec["class_path"], "init_args": arguments}


def build(base: type, spec: Mapping[str, Any]) -> Any:
    """Make an object of the class and arguments that a config names."""
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(base, "made")
    return parser.instantiate(parser.parse_object({"made": dict(spec)})).made
