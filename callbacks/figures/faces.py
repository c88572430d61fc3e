"""Faces with what a classifier reads in them, and where."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor

from callbacks.figures.base import (
    ChosenSamples,
    face_to_rgb,
    figures_folder,
    input_folder,
    is_live,
    send_picture,
    titled,
)
from callbacks.figures.face_drawing import InputPictures, ReadFace
from callbacks.figures.grad_cam import find_layer, heat_maps
from callbacks.figures.grid import Cell, Row, draw_grid
from callbacks.figures.heat import blend_heat, draw_heat_scale
from callbacks.figures.style import Picture, marked
from callbacks.outputs import require
from datamodules.errors import UserError

_CELLS = 8  # in a row


class FacePictures(pl.Callback):
    """Draws faces with answer, probability and Grad-CAM++ heat map into ``figures/``.

    A test ends with ``faces.png``: some faces of each class, chosen by a checksum of their
    ``sample_id`` and not for their looks, each beside its heat map. In prediction each picture of
    the input becomes ``predict/<input>/<picture>.png`` with all of its faces, and each film a
    picture of the frame in which an expression is read with the highest probability, for each
    expression.

    It needs of a test step ``probabilities``, ``label``, ``sample_id`` and ``image``, and of a
    prediction ``probabilities``, ``source``, ``frame``, ``box`` and ``image``.

    Args:
        layer: Module whose feature maps are weighed, such as network.layer4; null for no heat.
        per_class: Faces of each class in the picture of a test.

    Reference:
        PCNN, Figure 12.
    """

    def __init__(self, layer: str | None = "network.layer4", per_class: int = 4) -> None:
        if per_class < 1:
            raise UserError(f"FacePictures needs per_class of 1 or more; got {per_class}.")
        self.layer = layer
        self.per_class = per_class
        self._chosen = ChosenSamples(per_class)
        self._inputs: InputPictures | None = None

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Refuse a layer that is not there before hours of training end with it."""
        if self.layer is not None:
            find_layer(pl_module, self.layer)

    def on_test_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, *_: Any
    ) -> None:
        """Keep the faces of each class with the lowest checksums."""
        # Rank zero draws from its own share of the samples: a picture needs no other.
        if trainer.is_global_zero:
            keys = ("probabilities", "label", "sample_id", "image")
            self._chosen.add(require(self, pl_module, outputs, keys))

    def on_test_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw the faces that were kept."""
        chosen = self._chosen.take()
        if not chosen:
            return
        classes = trainer.datamodule.class_names  # type: ignore[attr-defined]
        faces = [face for kept in chosen.values() for face in kept]
        images = torch.stack([face["image"] for face in faces])
        probabilities = torch.stack([face["probabilities"] for face in faces])
        answers = probabilities.argmax(dim=1)
        texts = answer_texts(probabilities, classes)
        heat = self._heat(pl_module, images, answers)  # of all at once, which takes less time
        read = zip(images, answers.tolist(), texts, heat, strict=True)
        rows = []
        for label, kept in chosen.items():
            cells: list[Cell] = []
            for image, answer, words, map_ in islice(read, len(kept)):
                picture, right = face_to_rgb(image), answer == label
                cells.append(Cell(picture, marked(words, right), right))
                if map_ is not None:
                    cells.append(Cell(blend_heat(picture, map_)))
            for start in range(0, len(cells), _CELLS):
                name = classes[label] if start == 0 else ""
                rows.append(Row(name, cells[start : start + _CELLS]))
        title = titled(trainer, "test: true class on the left, answer below each face")
        columns = ["face"] if self.layer is None else ["face", "Grad-CAM++"]
        columns *= max(len(row.cells) for row in rows) // len(columns)
        legend = None if self.layer is None else draw_heat_scale
        send_picture(trainer, draw_grid(title, columns, rows, legend), "faces", "test/faces")

    def on_predict_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin the pictures of the input."""
        if is_live(trainer):
            return
        data = trainer.datamodule  # type: ignore[attr-defined]
        root: Path = data.input if data.input.is_dir() else data.input.parent
        folder = figures_folder(trainer) / input_folder(trainer)
        self._inputs = InputPictures(folder, root=root, caption=partial(titled, trainer))

    def on_predict_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, *_: Any
    ) -> None:
        """Draw the pictures that have passed."""
        if self._inputs is None:
            return
        keys = ("probabilities", "source", "frame", "box", "image")
        found = require(self, pl_module, outputs, keys)
        classes = trainer.datamodule.class_names  # type: ignore[attr-defined]
        share, best = found["probabilities"].max(dim=1)
        names = [classes[number] for number in best.tolist()]
        places = list(zip(found["source"], found["frame"].tolist(), strict=True))
        wanted = [
            i
            for i, ((source, _), name) in enumerate(zip(places, names, strict=True))
            if self._inputs.wants(source, name, float(share[i]))
        ]
        if not wanted:
            return
        heat = self._heat(pl_module, found["image"][wanted], best[wanted])
        answers = answer_texts(found["probabilities"], classes)
        for i, map_ in zip(wanted, heat, strict=True):
            x, y, width, height = found["box"][i].tolist()
            face = ReadFace((x, y, width, height), answers[i], map_)
            self._inputs.add(*places[i], face, name=names[i], probability=float(share[i]))

    def on_predict_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw what is left."""
        if self._inputs is not None:
            self._inputs.finish()
            self._inputs = None
            folder = figures_folder(trainer) / input_folder(trainer)
            if folder.is_dir():  # something was answered
                rank_zero_info(f"Pictures with answers: {folder}")

    def _heat(
        self, pl_module: pl.LightningModule, image: Tensor, classes: Tensor
    ) -> list[Picture] | list[None]:
        if self.layer is None:
            return [None] * len(image)
        device = pl_module.device
        heat = heat_maps(pl_module, self.layer, image.to(device), classes.to(device))
        return list((255 * heat).round().byte().cpu().numpy())


def answer_texts(probabilities: Tensor, class_names: Sequence[str]) -> list[str]:
    """Say which class each answer is, and how surely: "happiness 93%"."""
    share, best = probabilities.max(dim=1)
    pairs = zip(best.tolist(), share.tolist(), strict=True)
    return [f"{class_names[number]} {probability:.0%}" for number, probability in pairs]
