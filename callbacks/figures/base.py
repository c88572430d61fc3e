"""What figures share: which samples are drawn, what titles say, and where pictures go."""

from __future__ import annotations

import io
import math
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
from lightning.pytorch.loggers import WandbLogger
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import imsave
from numpy.typing import NDArray
from torch import Tensor

from datamodules.errors import printable
from datamodules.inputs import folder_name
from datamodules.live import LiveStream
from datamodules.store.replacing import replacing

Picture = NDArray[np.uint8]

CAPTION_HEIGHT = 24
"""Pixels below a picture that has a caption."""
_DPI = 150
_LETTER = 9  # pixels, rather too many


class ChosenSamples:
    """A few samples of each class: those whose ids have the lowest checksums.

    They are the same in every epoch, spread over subjects, and not picked for their looks.

    Args:
        per_class: At most so many of each class.
    """

    def __init__(self, per_class: int) -> None:
        self._per_class = per_class
        self._kept: dict[int, list[tuple[int, dict[str, Tensor]]]] = {}

    def add(self, outputs: Mapping[str, Tensor]) -> None:
        """Keep of a batch ``label`` [B], ``sample_id`` [B] and what else [B, ...] it holds."""
        labels, ids = outputs["label"].tolist(), outputs["sample_id"].tolist()
        for i, (label, number) in enumerate(zip(labels, ids, strict=True)):
            rank = checksum(number)
            kept = self._kept.setdefault(label, [])
            if len(kept) < self._per_class or rank < kept[-1][0]:
                sample = {key: value[i].detach().cpu().clone() for key, value in outputs.items()}
                kept.append((rank, sample))
                kept.sort(key=lambda one: one[0])
                del kept[self._per_class :]

    def take(self) -> dict[int, list[dict[str, Tensor]]]:
        """Return the samples of each class, in the order of the classes, and forget them."""
        kept, self._kept = self._kept, {}
        return {label: [sample for _, sample in kept[label]] for label in sorted(kept)}


def checksum(sample_id: int) -> int:
    """Return the checksum of an id: an order of the samples that is the same in every run."""
    return zlib.crc32(str(sample_id).encode())


def figures_folder(trainer: pl.Trainer) -> Path:
    """Return the folder of the run's pictures."""
    return Path(trainer.default_root_dir) / "figures"


def titled(trainer: pl.Trainer, what: str) -> str:
    """Say what a picture shows and of which data it is; every title and caption begins with it.

    A prediction says what the model was trained on too: often it is of other faces.
    """
    data = trainer.datamodule  # type: ignore[attr-defined]
    title = printable(f"{what}, data: {data.source}")
    return f"{title}, trained on: {data.trained_on}" if trainer.predicting else title


def input_folder(trainer: pl.Trainer) -> Path:
    """Return where in a run's folders the answers on an input go: two inputs never share it."""
    return Path("predict", folder_name(trainer.datamodule.input))  # type: ignore[attr-defined]


def is_live(trainer: pl.Trainer) -> bool:
    """Tell whether a prediction is on a camera or stream, of which no picture can be read again."""
    return isinstance(trainer.datamodule.input, LiveStream)  # type: ignore[attr-defined]


def new_figure(width: float, height: float, layout: Any = "constrained") -> Figure:
    """Make a figure, in inches, without pyplot, which would keep it and choose a toolkit."""
    figure = Figure(figsize=(width, height), dpi=_DPI, layout=layout)
    FigureCanvasAgg(figure)
    return figure


def new_axes(width: float, height: float, title: str) -> tuple[Figure, Axes]:
    """Make a figure of one plot, in inches, with its title."""
    figure = new_figure(width, height)
    axes = figure.add_subplot()
    axes.set_title(title, fontsize=9.5, loc="left", parse_math=False)
    return figure, axes


def captioned(picture: Picture, caption: str) -> Picture:
    """Add a caption below a picture.

    Args:
        picture: RGB [H, W, 3]; one narrower than its caption is enlarged, each pixel to a square.
        caption: A line.

    Returns:
        RGB, `CAPTION_HEIGHT` pixels higher than the picture, whose own pixels are as they were.
    """
    factor = max(1, math.ceil(_LETTER * len(caption) / picture.shape[1]))
    enlarged = picture.repeat(factor, axis=0).repeat(factor, axis=1)
    width = enlarged.shape[1]
    # Half a pixel more, since Matplotlib takes the whole part of an inexact number.
    figure = new_figure((width + 0.5) / _DPI, (CAPTION_HEIGHT + 0.5) / _DPI, layout=None)
    figure.text(6 / width, 0.5, caption, fontsize=7.5, va="center", parse_math=False)
    drawn = io.BytesIO()
    figure.savefig(drawn, format="rgba")
    words = np.frombuffer(drawn.getvalue(), np.uint8).reshape(CAPTION_HEIGHT, width, 4)
    return np.vstack([enlarged, words[..., :3]])


def write_picture(path: Path, picture: Figure | Picture) -> None:
    """Write a figure or RGB [H, W, 3] as a PNG file, which appears whole or not at all."""
    with replacing(path) as aside:
        if isinstance(picture, Figure):
            picture.savefig(aside)
        else:
            imsave(aside, picture)


def send_picture(trainer: pl.Trainer, picture: Figure | Picture, name: str, key: str) -> None:
    """Write a picture into the run folder, and show it in W&B where its logger is active.

    Args:
        trainer: The trainer.
        picture: A figure, or RGB [H, W, 3].
        name: Of the file in ``figures/``, without suffix.
        key: Name in W&B.
    """
    path = figures_folder(trainer) / f"{name}.png"
    write_picture(path, picture)
    for logger in trainer.loggers:
        if isinstance(logger, WandbLogger):
            logger.log_image(key, [str(path)], step=trainer.global_step)


def face_to_rgb(image: Tensor) -> Picture:
    """Turn a face [3, H, W] in [0, 1], clamped, into RGB [H, W, 3] in 0..255."""
    grey_levels = image.detach().float().clamp(0, 1).mul(255).round()
    rgb: Picture = grey_levels.byte().permute(1, 2, 0).cpu().numpy()
    return rgb
