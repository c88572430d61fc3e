"""What figures share: which samples are drawn, what titles say, and where pictures go."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from pathlib import Path

import lightning.pytorch as pl
from lightning.pytorch.loggers import WandbLogger
from matplotlib.figure import Figure
from torch import Tensor

from callbacks.figures.pictures import write_picture
from callbacks.figures.style import Picture
from datamodules.errors import printable
from datamodules.inputs.given import folder_name
from datamodules.inputs.live import LiveStream


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
    """Say of which method, data, fold and seed a picture is; every title begins with it.

    A prediction has no fold, but says what the model was trained on: often it is of other faces.
    """
    data = trainer.datamodule  # type: ignore[attr-defined]
    parts = [type(trainer.lightning_module).__name__, what, f"data: {data.source}"]
    if trainer.predicting:
        parts.append(f"trained on: {data.trained_on}")
    else:
        known = [(name, getattr(data, name, None)) for name in ("fold", "seed")]
        parts += [f"{name} {number}" for name, number in known if number is not None]
    return printable(", ".join(parts))


def input_folder(trainer: pl.Trainer) -> Path:
    """Return where in a run's folders the answers on an input go: two inputs never share it."""
    return Path("predict", folder_name(trainer.datamodule.input))  # type: ignore[attr-defined]


def is_live(trainer: pl.Trainer) -> bool:
    """Tell whether a prediction is on a camera or stream, of which no picture can be read again."""
    return isinstance(trainer.datamodule.input, LiveStream)  # type: ignore[attr-defined]


def is_ending(trainer: pl.Trainer) -> bool:
    """Tell whether a training ends with this epoch or step."""
    return (
        trainer.should_stop
        or trainer.current_epoch + 1 == trainer.max_epochs
        or trainer.global_step == trainer.max_steps
    )


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
