"""A method in an ONNX file of `lightning export`; nothing here needs torch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datamodules.errors import UserError
from datamodules.inputs.reading import InputBatch, Reading
from datamodules.motion.clips import MotionReading
from datamodules.motion.extraction import Extraction
from datamodules.stills.pictures import FaceReading
from experiments.recognition.method import Answers
from lightning_modules.onnx_runtime import open_session


class OnnxMethod:
    """A trained method of an ONNX file, which says itself how its inputs are read.

    Args:
        path: The file.

    Attributes:
        metadata: What the file says of itself, by key; see `experiments.export.describe`.

    Raises:
        UserError: If there is no such file, onnxruntime is missing, or the file was not written by
            `lightning export`.
    """

    def __init__(self, path: Path) -> None:
        self._session = open_session(path)
        self.metadata: dict[str, str] = self._session.get_modelmeta().custom_metadata_map
        reading = json.loads(self.metadata.get("reading", "{}"))
        if not reading:
            raise UserError(
                f"{path} does not say how its inputs are read: write it by lightning export again."
            )
        self.reading = reading_of(reading)
        self.class_names = tuple(json.loads(self.metadata["class_names"]))
        self.trained_on = self.metadata["trained_on"]

    def answer(self, batch: InputBatch) -> Answers:
        """Answer a batch of the reading."""
        names = [given.name for given in self._session.get_inputs()]
        outputs = [output.name for output in self._session.get_outputs()]
        given = self._session.run(None, inputs_of(batch, names))
        said = dict(zip(outputs, given, strict=True))
        if "unit_margins" in said:
            return {"unit_margins": said["unit_margins"].astype(np.float64)}
        if "scores" in said:
            return {"scores": said["scores"], "probabilities": said["probabilities"]}
        logits = said["logits"].astype(np.float64)
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        return {"scores": logits, "probabilities": shares}


def inputs_of(batch: InputBatch, names: Sequence[str]) -> dict[str, NDArray[np.float32]]:
    """Turn the stored types of a batch into what a method reads; as `loaders.to_float` does.

    Args:
        batch: See `batch.FaceInputBatch` and `batch.SequenceBatch`; faces are uint8.
        names: Arguments of the method: image, neutral, and any name that ends with flow.

    Returns:
        float32 [B, C, H, W] by name: faces RGB in [0, 1], flows in pixels.
    """
    return {
        name: batch["posed_flow"] if name.endswith("flow") else _face(batch, name) for name in names
    }


def _face(batch: InputBatch, name: str) -> NDArray[np.float32]:
    face: NDArray[np.uint8] = batch[name]
    if name == "image":  # channels last, or none
        face = face[:, None] if face.ndim == 3 else face.transpose(0, 3, 1, 2)
    values = face.astype(np.float32) / np.float32(255)
    shape = (len(face), 3, *face.shape[2:])
    return np.ascontiguousarray(np.broadcast_to(values, shape))


def saved_reading(reading: Reading) -> dict[str, Any]:
    """Return how inputs are read as plain values, for a file."""
    return {"kind": type(reading).__name__, **asdict(reading)}  # type: ignore[call-overload]


def reading_of(saved: dict[str, Any]) -> Reading:
    """Make what `saved_reading` returned the values of."""
    values = dict(saved)
    if values.pop("kind") == MotionReading.__name__:
        return MotionReading(Extraction(**values["extraction"]))
    return FaceReading(**values)
