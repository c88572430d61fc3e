"""Samples as rows of pictures beside the colour wheel: which, when, and how they are laid out."""

from __future__ import annotations

import textwrap
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.trainer.states import TrainerFn
from matplotlib.figure import Figure
from torch import Tensor

from callbacks.figures.base import ChosenSamples, Picture, new_figure, send_picture, titled
from callbacks.figures.colour_wheel import flow_to_rgb, in_reference_pixels, wheel_legend
from callbacks.outputs import require
from datamodules.errors import UserError

_CELL, _GAP, _CAPTION, _HEADER = 1.5, 0.08, 0.2, 0.3  # inches
_TITLE, _LABEL, _LEGEND, _MARGIN = 0.45, 1.35, 1.35, 0.12  # inches


@dataclass(frozen=True)
class Cell:
    """One picture of a grid, RGB [H, W, 3] in 0..255, and what stands below it."""

    image: Picture
    caption: str = ""


@dataclass(frozen=True)
class Row:
    """One row of a grid, with a few short lines to its left."""

    label: str
    cells: list[Cell]


class GridPictures(pl.Callback, ABC):
    """Draws one sample of each expression, a row each, into ``figures/`` of the run folder.

    Pictures go to W&B as well where its logger is active. A subclass names the outputs of a step
    that a row needs and what stands in it.

    Args:
        every_n_epochs: Validation is drawn after every n-th epoch and after the last.
        max_rows: At most so many samples in a picture.
        max_magnitude: Length in pixels of a 128x128 grid that is drawn in the full colour; longer
            motion is darkened. Fixed, so that the pictures of a run can be compared.
    """

    def __init__(
        self, every_n_epochs: int = 5, max_rows: int = 8, max_magnitude: float = 4.0
    ) -> None:
        if every_n_epochs < 1 or max_rows < 1 or not max_magnitude > 0:
            raise UserError(
                f"{type(self).__name__} needs every_n_epochs and max_rows of 1 or more and a "
                f"max_magnitude above 0 px; got {every_n_epochs}, {max_rows} and {max_magnitude}."
            )
        self.every_n_epochs = every_n_epochs
        self.max_rows = max_rows
        self.max_magnitude = max_magnitude
        self._chosen = ChosenSamples(per_class=1)

    @abstractmethod
    def keys(self, outputs: Mapping[str, Any]) -> Sequence[str]:
        """Name the outputs of a step that a row needs, beside ``label`` and ``sample_id``."""

    @abstractmethod
    def columns(self, trainer: pl.Trainer) -> Sequence[str]:
        """Name what stands in a row."""

    @abstractmethod
    def cells(self, sample: Mapping[str, Tensor], class_names: Sequence[str]) -> list[Cell]:
        """Draw a sample, a cell for each column.

        Args:
            sample: The outputs of `keys` without their batch axis; a ``..._flow`` is in pixels of
                a 128x128 grid.
            class_names: Names of the K classes.
        """

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep the samples that are to be drawn."""
        # A validation step may return nothing to draw.
        if self._is_drawn(trainer) and (outputs is not None or trainer.testing):
            keys = (*self.keys(outputs or {}), "label", "sample_id")
            self._chosen.add(require(self, pl_module, outputs, keys))

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw the samples of this epoch."""
        chosen = self._chosen.take()
        if not chosen:
            return
        data = trainer.datamodule  # type: ignore[attr-defined]
        rows = []
        for label, (sample, *_) in list(chosen.items())[: self.max_rows]:
            name = f"{data.class_names[label]}\n{data.sample_name(int(sample['sample_id']))}"
            scaled = {
                key: in_reference_pixels(value) if key.endswith("flow") else value
                for key, value in sample.items()
            }
            rows.append(Row(name, self.cells(scaled, data.class_names)))
        file, title = ("test", "Test") if trainer.testing else ("validation", "Validation")
        if trainer.state.fn == TrainerFn.FITTING:
            epoch = trainer.current_epoch
            file, title = f"{file}_epoch_{epoch:03d}", f"{title}, epoch {epoch}"
        figure = draw_grid(titled(trainer, title), self.columns(trainer), rows, self.max_magnitude)
        send_picture(trainer, figure, file, f"{'test' if trainer.testing else 'val'}/pictures")

    on_test_batch_end = on_validation_batch_end
    on_test_epoch_end = on_validation_epoch_end

    def flow_cell(self, flow: Tensor, caption: str) -> Cell:
        """Draw a flow [2, H, W] in pixels of a 128x128 grid as a colour wheel."""
        return Cell(flow_to_rgb(flow.numpy(), max_magnitude=self.max_magnitude), caption)

    def _is_drawn(self, trainer: pl.Trainer) -> bool:
        # Rank zero draws from its own share of the samples: a picture needs no other.
        if trainer.sanity_checking or not trainer.is_global_zero:
            return False
        done = trainer.current_epoch + 1
        return (
            trainer.state.fn != TrainerFn.FITTING
            or done % self.every_n_epochs == 0
            or done == trainer.max_epochs
        )


def draw_grid(
    title: str,
    columns: Sequence[str],
    rows: Sequence[Row],
    max_magnitude: float | None = None,
) -> Figure:
    """Draw rows of pictures under column titles, with the wheel and its scale on the right.

    Args:
        title: Line above the grid.
        columns: Titles of the columns.
        rows: The pictures.
        max_magnitude: Length in pixels of the full colour, said under the wheel; None for
            pictures of no flow, which have no wheel.
    """
    row_height = _CELL + _CAPTION + _GAP
    legend = _LEGEND if max_magnitude is not None else 0
    width = _LABEL + len(columns) * (_CELL + _GAP) + legend + _MARGIN
    height = _TITLE + _HEADER + len(rows) * row_height + _MARGIN
    figure = new_figure(width, height, layout=None)

    def put(image: Picture, left: float, top: float, size: float, framed: bool = True) -> None:
        """Place a square picture; ``left`` and ``top`` are inches from the upper left corner."""
        box = (left / width, 1 - (top + size) / height, size / width, size / height)
        axes = figure.add_axes(box)
        axes.imshow(image, interpolation="lanczos", aspect="auto")
        axes.set_xticks([])
        axes.set_yticks([])
        # A flow without motion is white: without a frame it would not be seen as a picture.
        for spine in axes.spines.values():
            spine.set(visible=framed, color="0.8", linewidth=0.6)

    def write(text: str, x: float, y: float, size: float, **style: Any) -> None:
        """Write text; ``x`` and ``y`` are inches from the upper left corner."""
        # A dollar sign in the name of a sequence is no formula.
        figure.text(x / width, 1 - y / height, text, fontsize=size, parse_math=False, **style)

    write(title, _MARGIN, _TITLE / 2 + 0.05, 11, ha="left", va="center", weight="bold")
    first_row = _TITLE + _HEADER
    for column, name in enumerate(columns):
        centre = _LABEL + column * (_CELL + _GAP) + _CELL / 2
        write(name, centre, first_row - 0.07, 9.5, ha="center", va="bottom")
    for number, row in enumerate(rows):
        top = first_row + number * row_height
        # Long names of files are broken, so that they stay beside the pictures.
        label = "\n".join(textwrap.fill(line, 20) for line in row.label.split("\n"))
        write(label, _LABEL - 0.1, top + _CELL / 2, 8.5, ha="right", va="center")
        for column, cell in enumerate(row.cells):
            left = _LABEL + column * (_CELL + _GAP)
            put(cell.image, left, top, _CELL)
            centre = left + _CELL / 2
            write(cell.caption, centre, top + _CELL + 0.03, 7.5, ha="center", va="top")
    if max_magnitude is None:
        return figure
    wheel = _LEGEND - 0.35
    left = width - _MARGIN - wheel - 0.1
    put(wheel_legend(256), left, first_row, wheel, framed=False)
    said = f"full colour: {max_magnitude:g} px\ndarkened: longer"
    write(said, left + wheel / 2, first_row + wheel + 0.08, 8, ha="center", va="top")
    return figure
