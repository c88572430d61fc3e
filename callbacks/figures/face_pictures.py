"""Faces with what a classifier reads in them, and where."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor

from callbacks.figures.face_drawing import Picture, SeenFace, blend_heat
from callbacks.figures.grad_cam import find_layer, heat_maps
from callbacks.figures.sample_figure import new_figure, require, save_figure
from callbacks.figures.sample_pictures import figures_folder
from callbacks.figures.seen_pictures import SeenPictures
from callbacks.figures.sequence_pictures import face_to_rgb
from datamodules.errors import UserError

_CELL = 1.25  # inches


class FacePictures(pl.Callback):
    """Draws faces with answer, probability and Grad-CAM++ heat map into ``figures/``.

    A test ends with ``faces.png``: some faces of each class, chosen by a checksum of their
    ``sample_id`` and not for their looks, each beside its heat map. In prediction each picture of
    the input becomes ``predict/<picture>.png`` with all of its faces, and each film a picture of
    the frame in which an expression is read with the highest probability, for each expression.

    It needs of a test step ``logits``, ``label``, ``sample_id`` and ``image``, and of a prediction
    ``logits``, ``source``, ``frame``, ``box`` and ``image``.

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
        self._chosen: dict[int, list[tuple[int, dict[str, Tensor]]]] = {}
        self._seen: SeenPictures | None = None

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Refuse a layer that is not there before hours of training end with it."""
        if self.layer is not None:
            find_layer(pl_module, self.layer)

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Forget the faces of an earlier test."""
        self._chosen.clear()

    def on_test_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep the faces of each class with the lowest checksums."""
        # Rank zero draws from its own share of the samples: a picture needs no other.
        if not trainer.is_global_zero:
            return
        require(self, pl_module, outputs, ("logits", "label", "sample_id", "image"))
        labels, ids = outputs["label"].tolist(), outputs["sample_id"].tolist()
        for i, (label, number) in enumerate(zip(labels, ids, strict=True)):
            place = zlib.crc32(str(number).encode())
            kept = self._chosen.setdefault(label, [])
            if len(kept) < self.per_class or place < kept[-1][0]:
                keys = ("logits", "image")
                kept.append((place, {key: outputs[key][i].detach().clone() for key in keys}))
                kept.sort(key=lambda one: one[0])
                del kept[self.per_class :]

    def on_test_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw the faces that were kept."""
        if not self._chosen:
            return
        data = trainer.datamodule  # type: ignore[attr-defined]
        columns = 2 if self.layer is not None else 1
        width = 1.0 + columns * self.per_class * _CELL
        figure = new_figure(width, 0.5 + len(self._chosen) * (_CELL + 0.22))
        grid = figure.subplots(len(self._chosen), columns * self.per_class, squeeze=False)
        for row, (label, kept) in zip(grid, sorted(self._chosen.items()), strict=True):
            for axes in row:
                axes.set_axis_off()
            faces = {key: torch.stack([one[key] for _, one in kept]) for key in kept[0][1]}
            heat = self._heat(pl_module, faces["image"], faces["logits"].argmax(dim=1))
            answers = said(faces["logits"], data.class_names)
            for i, answer in enumerate(answers):
                picture = face_to_rgb(faces["image"][i])
                axes = row[columns * i]
                axes.imshow(picture)
                axes.set_title(answer, fontsize=7, loc="left", pad=2)
                map_ = heat[i]
                if map_ is not None:
                    row[columns * i + 1].imshow(blend_heat(picture, map_))
            row[0].text(
                -0.12,
                0.5,
                data.class_names[label],
                transform=row[0].transAxes,
                ha="right",
                va="center",
                fontsize=9,
            )
        self._chosen.clear()
        title = f"Test, data: {data.source}; true class on the left, answer above each face"
        figure.suptitle(title, fontsize=9.5, parse_math=False)
        save_figure(trainer, figure, "faces")

    def on_predict_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Open the pictures of the input."""
        data = trainer.datamodule  # type: ignore[attr-defined]
        root: Path = data.input if data.input.is_dir() else data.input.parent
        self._seen = SeenPictures(figures_folder(trainer) / "predict", root=root)

    def on_predict_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Draw the pictures that have passed."""
        if self._seen is None:
            return
        require(self, pl_module, outputs, ("logits", "source", "frame", "box", "image"))
        classes = trainer.datamodule.class_names  # type: ignore[attr-defined]
        share, best = outputs["logits"].double().softmax(dim=1).max(dim=1)
        names = [classes[number] for number in best.tolist()]
        places = list(zip(outputs["source"], outputs["frame"].tolist(), strict=True))
        wanted = [
            i
            for i, ((source, _), name) in enumerate(zip(places, names, strict=True))
            if self._seen.wants(source, name, float(share[i]))
        ]
        if not wanted:
            return
        heat = self._heat(pl_module, outputs["image"][wanted], best[wanted])
        answers = said(outputs["logits"], classes)
        for i, map_ in zip(wanted, heat, strict=True):
            x, y, width, height = outputs["box"][i].tolist()
            face = SeenFace((x, y, width, height), answers[i], map_)
            self._seen.add(*places[i], face, name=names[i], probability=float(share[i]))

    def on_predict_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw what is left."""
        if self._seen is not None:
            self._seen.finish()
            self._seen = None
            rank_zero_info(f"Pictures with answers: {figures_folder(trainer) / 'predict'}")

    def _heat(
        self, pl_module: pl.LightningModule, image: Tensor, classes: Tensor
    ) -> list[Picture] | list[None]:
        if self.layer is None:
            return [None] * len(image)
        heat = heat_maps(pl_module, self.layer, image, classes)
        return list((255 * heat).round().byte().cpu().numpy())


def said(logits: Tensor, class_names: Sequence[str]) -> list[str]:
    """Say which class each answer is, and how surely: "happiness 93 %"."""
    share, best = logits.double().softmax(dim=1).max(dim=1)
    pairs = zip(best.tolist(), share.tolist(), strict=True)
    return [f"{class_names[number]} {probability:.0%}" for number, probability in pairs]
