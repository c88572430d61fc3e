"""What figures of a test share: every sample once, drawn by one process, kept and shown."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.utilities import rank_zero_info
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from callbacks.figures.sample_pictures import figures_folder
from callbacks.records.distributed import gather
from datamodules.errors import UserError
from datamodules.store.replacing import replacing

Samples = dict[str, NDArray[Any]]
_DPI = 150


class SampleFigure(pl.Callback, ABC):
    """Collects outputs of all test samples and draws them into ``figures/`` of the run folder.

    The processes of a run put their samples together, each ``sample_id`` once. The figure goes to
    W&B as well where its logger is active. A subclass names the outputs and draws.
    """

    keys: tuple[str, ...]
    """Outputs of the test step that the figure needs, beside ``sample_id``."""

    def __init__(self) -> None:
        self._samples: Samples = {}

    @abstractmethod
    def draw(self, trainer: pl.Trainer, samples: Samples) -> None:
        """Draw the outputs of all samples, in the order of their ids; on rank zero only."""

    def trim(self, samples: Samples) -> Samples:
        """Leave out samples that are not needed, the same ones however they were dealt out."""
        return samples

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Forget the samples of an earlier test."""
        self._samples = {}

    def on_test_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep the outputs of a batch."""
        require(self, pl_module, outputs, self.keys)
        new = {key: _array(outputs[key]) for key in (*self.keys, "sample_id")}
        self._samples = self.trim(_joined([self._samples, new]) if self._samples else new)

    def on_test_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Put the samples of all processes together and draw them."""
        parts = [part for part in gather(self._samples) if part]
        self._samples = {}
        if trainer.is_global_zero and parts:
            samples = _joined(parts)
            # A distributed sampler may repeat some.
            _, first = np.unique(samples["sample_id"], return_index=True)
            self.draw(trainer, self.trim({key: value[first] for key, value in samples.items()}))


def require(
    callback: pl.Callback, pl_module: pl.LightningModule, outputs: Any, keys: Sequence[str]
) -> None:
    """Refuse a callback whose outputs a method does not have.

    Args:
        callback: What needs them.
        pl_module: The method.
        outputs: What its step returned.
        keys: What is needed of that.

    Raises:
        UserError: If something is missing.
    """
    missing = [key for key in keys if key not in (outputs or ())]
    if missing:
        raise UserError(
            f"{type(callback).__name__} needs {' and '.join(missing)} of a step, which "
            f"{type(pl_module).__name__} does not return: take it out of the callbacks."
        )


def new_figure(width: float, height: float) -> Figure:
    """Make a figure without pyplot, which would keep it and choose a window toolkit.

    Args:
        width: In inches.
        height: In inches.

    Returns:
        The figure, which can be saved.
    """
    figure = Figure(figsize=(width, height), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save_figure(trainer: pl.Trainer, figure: Figure, name: str) -> Path:
    """Write a figure of a test into the run folder, and show it in W&B.

    Args:
        trainer: The trainer.
        figure: The figure.
        name: Of the file, without suffix.

    Returns:
        The PNG file, which appears whole or not at all.
    """
    path = figures_folder(trainer) / f"{name}.png"
    with replacing(path) as aside:
        figure.savefig(aside)
    for logger in trainer.loggers:
        if isinstance(logger, WandbLogger):
            logger.log_image(f"test/{name}", [str(path)], step=trainer.global_step)
    rank_zero_info(f"Figure: {path}")
    return path


def _array(value: Any) -> NDArray[Any]:
    value = value.detach().cpu()
    return np.asarray(value.float() if value.is_floating_point() else value)


def _joined(parts: list[Samples]) -> Samples:
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
