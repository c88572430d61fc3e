"""Foreign classifiers of faces, in ONNX files: they name expressions, and are asked by name."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from datamodules.errors import UserError
from datamodules.labels import EXPRESSION_WORDS
from lightning_modules.judge_card import read_card
from lightning_modules.metrics.frontalization import FACE_SHARE, middle
from lightning_modules.onnx_runtime import open_session

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]*")
_LUMINANCE = (0.299, 0.587, 0.114)


class OnnxJudge:
    """A classifier of faces in an ONNX file.

    What it reads stands in the metadata of the file, as `lightning export` writes them, or in a
    YAML file beside it, which wins; see :class:`JudgeCard`. Channels may come first or last. Its
    answer is the class of the highest score among all of its own: one that the data lack, such as
    contempt, is wrong.

    Args:
        path: The file.
        classes: Names of the data's classes, each of which it must have.
        loose: Whether faces come in loose crops, of which its margin cuts the middle out.

    Raises:
        UserError: If the file cannot be read, says too little or contradicts itself, names a class
            that is no expression, or lacks one of the data's.
    """

    def __init__(self, path: str | Path, classes: Sequence[str], *, loose: bool = False) -> None:
        self.path = Path(path)
        self._beside = self.path.with_suffix(".yaml").name
        self._session = open_session(self.path)
        self.card = read_card(self.path, self._session.get_modelmeta().custom_metadata_map)
        margin = self.card.margin if loose else None
        self._share = 1.0 if margin is None else min(1.0, margin * FACE_SHARE)
        self._input = self._find_input()
        self._output = self._find_output()
        self._translation = self._translate(classes)

    def __call__(self, face: Tensor) -> Tensor:
        """Name the expressions of faces.

        Args:
            face: [B, 3, H, W] RGB in [0, 1], on any device.

        Returns:
            int64 [B] on that device, indices of the data's classes; -1 for a class that the data
            lack.
        """
        inputs = self.prepare(face)
        # A file with a fixed batch has been exported for one image.
        parts = inputs.unsqueeze(1) if self._single else (inputs,)
        scores = [self._session.run([self._output], {self._input: p.numpy()})[0] for p in parts]
        answers = torch.cat([torch.from_numpy(part) for part in scores]).argmax(dim=1)
        return self._translation[answers].to(face.device)

    def prepare(self, face: Tensor) -> Tensor:
        """Return what the network reads, float32 on the CPU, for faces [B, 3, H, W] in [0, 1]."""
        card = self.card
        rows, columns = (middle(side, self._share) for side in face.shape[-2:])
        face = face.detach().float().cpu()[:, :, rows, columns]
        if face.shape[-2:] != self._size:
            face = functional.interpolate(face, self._size, mode="bilinear", antialias=True)
        if card.colour == "BGR":
            face = face.flip(1)
        if card.colour == "grey":
            grey = (face * torch.tensor(_LUMINANCE).view(3, 1, 1)).sum(dim=1, keepdim=True)
            face = grey.expand(-1, self._channels, -1, -1)
        mean, std = (torch.tensor(values).view(-1, 1, 1) for values in (card.mean, card.std))
        face = (face * card.scale - mean) / std
        return (face.permute(0, 2, 3, 1) if self._channels_last else face).contiguous()

    def _find_input(self) -> str:
        """Return the name of the input; learn its layout and size."""
        inputs: dict[str, list[Any]] = {
            given.name: list(given.shape) for given in self._session.get_inputs()
        }
        name, shape = next(iter(inputs.items()))
        is_image = len(inputs) == 1 and len(shape) == 4 and bool({1, 3} & {shape[1], shape[3]})
        if not is_image:
            raise UserError(
                f"{self.path} reads {inputs}, but a judge reads one batch of images, "
                "[batch, 3, H, W] or [batch, H, W, 3]."
            )
        if isinstance(shape[0], int) and shape[0] != 1:
            raise UserError(
                f"{self.path} reads exactly {shape[0]} images at once: export it with a free "
                "batch, or for one image."
            )
        self._single = shape[0] == 1
        self._channels_last = shape[1] not in (1, 3)
        self._channels: int = shape[3] if self._channels_last else shape[1]
        if self._channels == 1 and self.card.colour != "grey":
            raise UserError(f"{self.path} reads one channel: say colour: grey in {self._beside}.")
        fixed = shape[1:3] if self._channels_last else shape[2:]
        said = self.card.input_size or fixed
        if any(isinstance(f, int) and f != s for f, s in zip(fixed, said, strict=True)):
            raise UserError(
                f"{self.path} reads images of {fixed} pixels, height and width, but its "
                f"input_size is {list(said)}: correct it in {self._beside}."
            )
        if not all(isinstance(side, int) for side in said):
            raise UserError(
                f"{self.path} does not say the size of its images: give input_size, [H, W], in "
                f"{self._beside} beside it."
            )
        self._size = (said[0], said[1])
        return name

    def _find_output(self) -> str:
        """Choose the output with a score for each class."""
        found: dict[str, list[Any]] = {
            output.name: list(output.shape) for output in self._session.get_outputs()
        }
        count = len(self.card.class_names)
        fitting = [n for n, shape in found.items() if len(shape) == 2 and shape[1] == count]
        chosen = next((name for name in ("logits", "scores") if name in fitting), None)
        if chosen is None and len(fitting) != 1:
            raise UserError(
                f"{self.path} answers {found}, of which {len(fitting)} are scores of its {count} "
                "classes, [batch, classes], and one is needed: correct class_names, or export it "
                "with the scores alone."
            )
        return chosen or fitting[0]

    def _translate(self, classes: Sequence[str]) -> Tensor:
        """Return the index among the data's classes of each of its own, -1 for none."""
        names = self.card.class_names
        unknown = [name for name in names if name.lower() not in EXPRESSION_WORDS]
        if unknown:
            raise UserError(
                f"{self.path} has classes that are no expressions, {', '.join(unknown)}: write "
                f"words such as {', '.join(classes)}, in the order of its answers, as class_names "
                f"into {self._beside} beside it."
            )
        own = [EXPRESSION_WORDS[name.lower()].name.lower() for name in names]
        lacking = [name for name in classes if name not in own]
        if lacking or len(set(own)) < len(own):
            wrong = f"lacks {', '.join(lacking)}" if lacking else "names one twice"
            raise UserError(
                f"{self.path} {wrong} among its classes {', '.join(names)}, but is to judge "
                f"{', '.join(classes)}: give another judge, or set data.expressions to what it "
                "knows."
            )
        return torch.tensor([classes.index(name) if name in classes else -1 for name in own])


def check_judges(files: Mapping[str, str]) -> None:
    """Refuse names that cannot be part of a measure's, and files of another kind.

    Args:
        files: The files of judges by the names that tables call them.

    Raises:
        UserError: If there are any.
    """
    for name, file in files.items():
        if not _NAME.fullmatch(name):
            raise UserError(
                f"model.judges calls a judge {name!r}: expected are letters, digits and hyphens, "
                "such as DMUE."
            )
        if Path(file).suffix != ".onnx":
            raise UserError(
                f"The judge {name} is {file}, but expected is an ONNX file: write a checkpoint of "
                "this project as one by lightning export."
            )
