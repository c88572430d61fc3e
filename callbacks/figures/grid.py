"""Samples as rows of pictures beside the colour wheel: which, when, and how they are laid out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import lightning.pytorch as pl
import numpy as np
from lightning.pytorch.trainer.states import TrainerFn
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image
from torch import Tensor

from callbacks.figures.base import ChosenSamples, is_ending, send_picture, titled
from callbacks.figures.colour_wheel import draw_wheel, flow_to_rgb, in_reference_pixels
from callbacks.figures.pictures import DPI, new_figure
from callbacks.figures.style import RIGHT, WRONG, Picture, drawable, text_width, wrap
from callbacks.outputs import require
from datamodules.errors import UserError

_CELL, _GAP, _LABEL, _LEGEND, _MARGIN = 1.5, 0.08, 1.4, 1.6, 0.12  # inches
_LEAST_WIDTH = 4.5  # inches, so that titles have few lines
_SPACING = 1.1  # of lines


@dataclass(frozen=True)
class Cell:
    """One picture of a grid, RGB [H, W, 3] in 0..255, and what stands below it.

    Where that is an answer, ``right`` tells whether it is the true one, by the colour of both.
    """

    image: Picture
    caption: str = ""
    right: bool | None = None


@dataclass(frozen=True)
class Row:
    """One row of a grid, with a few short lines to its left."""

    label: str
    cells: list[Cell]


class GridPictures(pl.Callback, ABC):
    """Draws one sample of each expression into ``figures/`` of the run folder.

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
        """Name what stands in a row, or in each of the rows of a sample."""

    @abstractmethod
    def cells(self, sample: Mapping[str, Tensor], class_names: Sequence[str]) -> list[Cell]:
        """Draw a sample, a cell for each column, and on in a next row where there are more.

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
        data, columns = trainer.datamodule, self.columns(trainer)  # type: ignore[attr-defined]
        rows = []
        for label, (sample, *_) in list(chosen.items())[: self.max_rows]:
            name = f"{data.class_names[label]}\n{data.sample_name(int(sample['sample_id']))}"
            scaled = {
                key: in_reference_pixels(value) if key.endswith("flow") else value
                for key, value in sample.items()
            }
            cells, width = self.cells(scaled, data.class_names), len(columns)
            for start in range(0, len(cells), width):
                rows.append(Row(name if start == 0 else "", cells[start : start + width]))
        file = title = "test" if trainer.testing else "validation"
        if trainer.state.fn == TrainerFn.FITTING:
            epoch = trainer.current_epoch
            file, title = f"{file}_epoch_{epoch:03d}", f"{title}, epoch {epoch}"
        figure = draw_grid(titled(trainer, title), columns, rows, self.wheel)
        send_picture(trainer, figure, file, f"{'test' if trainer.testing else 'val'}/pictures")

    on_test_batch_end = on_validation_batch_end
    on_test_epoch_end = on_validation_epoch_end

    @property
    def wheel(self) -> Callable[[Axes], None]:
        """Draws the scale of the flows."""
        return partial(draw_wheel, max_magnitude=self.max_magnitude)

    def flow_cell(self, flow: Tensor, caption: str, right: bool | None = None) -> Cell:
        """Draw a flow [2, H, W] in pixels of a 128x128 grid by the colours of the wheel."""
        return Cell(flow_to_rgb(flow.numpy(), max_magnitude=self.max_magnitude), caption, right)

    def _is_drawn(self, trainer: pl.Trainer) -> bool:
        # Rank zero draws from its own share of the samples: a picture needs no other.
        if trainer.sanity_checking or not trainer.is_global_zero:
            return False
        return (
            trainer.state.fn != TrainerFn.FITTING
            or (trainer.current_epoch + 1) % self.every_n_epochs == 0
            or is_ending(trainer)
        )


def draw_grid(
    title: str,
    columns: Sequence[str],
    rows: Sequence[Row],
    legend: Callable[[Axes], None] | None = None,
) -> Figure:
    """Draw rows of pictures under column titles; the figure is as large as they need.

    Args:
        title: Above the grid.
        columns: Titles of the columns.
        rows: The pictures.
        legend: Draws the scale of the colours to the right of the first row; None for pictures
            that have none.
    """
    column = 72 * (_CELL - 0.04)  # points
    labels = [_lines(row.label, 72 * _LABEL, 8.5, most=6) for row in rows]
    captions = [[_lines(cell.caption, column, 7.5, most=3) for cell in row.cells] for row in rows]
    headers = [_lines(name, column, 9, most=3) for name in columns]
    label = max((text_width(line, 8.5) for lines in labels for line in lines), default=0) / 72
    first_column = _MARGIN + (label + 0.1 if label else 0)
    width = first_column + len(columns) * (_CELL + _GAP) + _MARGIN
    width = max(width + (_LEGEND if legend is not None else 0), _LEAST_WIDTH)
    head = wrap(title, 72 * (width - 2 * _MARGIN), 10.5, bold=True)
    header = max((_height(lines, 9) for lines in headers), default=0)
    first_row = 2 * _MARGIN + _height(head, 10.5) + header
    below = [max((_height(lines, 7.5) for lines in row), default=0) for row in captions]
    # A label may be higher than the picture beside it, and the legend than a row.
    heights = [
        max(_CELL + caption, _height(lines, 8.5)) + _GAP
        for caption, lines in zip(below, labels, strict=True)
    ]
    heights = heights or [0.0]
    tall = max(sum(heights), _LEGEND if legend is not None else 0)
    height = first_row + tall + _MARGIN
    figure = new_figure(width, height, layout=None)

    def write(lines: Sequence[str], x: float, y: float, size: float, **style: Any) -> None:
        """Write lines; ``x`` and ``y`` are inches from the upper left corner."""
        text, font = drawable("\n".join(lines), bold=style.pop("bold", False))
        # A dollar sign in the name of a sequence is no formula.
        style |= {"font": font, "fontsize": size, "linespacing": _SPACING, "parse_math": False}
        figure.text(x / width, 1 - y / height, text, **style)

    write(head, _MARGIN, _MARGIN, 10.5, ha="left", va="top", bold=True)
    for number, lines in enumerate(headers):
        centre = first_column + number * (_CELL + _GAP) + _CELL / 2
        write(lines, centre, first_row - 0.07, 9, ha="center", va="baseline")
    top, side = first_row, round(_CELL * DPI)
    for row, lines, said, high in zip(rows, labels, captions, heights, strict=False):
        write(lines, first_column - 0.1, top + _CELL / 2, 8.5, ha="right", va="center")
        for number, (cell, caption) in enumerate(zip(row.cells, said, strict=True)):
            left = first_column + number * (_CELL + _GAP)
            low = height - top - _CELL
            # Neither axes for each picture, which would take longer than all else, nor
            # Matplotlib's resampling, which takes ten times as long.
            picture = Image.fromarray(cell.image).resize((side, side), Image.Resampling.LANCZOS)
            figure.figimage(np.asarray(picture), round(left * DPI), round(low * DPI))
            colour = {None: "0.2", True: RIGHT, False: WRONG}[cell.right]
            # A flow without motion is white: without a frame it would not be seen as a picture.
            edge, line = ("0.8", 0.6) if cell.right is None else (colour, 1.5)
            frame = Rectangle((left, low), _CELL, _CELL, fill=False, edgecolor=edge, linewidth=line)
            frame.set_transform(figure.dpi_scale_trans)
            figure.add_artist(frame)
            centre, under = left + _CELL / 2, top + _CELL + 0.03
            write(caption, centre, under, 7.5, ha="center", va="top", color=colour)
        top += high
    if legend is not None:
        left, size = width - _LEGEND + 0.1, _LEGEND - 0.45
        low = height - first_row - size
        legend(figure.add_axes((left / width, low / height, size / width, size / height)))
    return figure


def _lines(text: str, width: float, size: float, *, most: int) -> list[str]:
    return wrap(text, width, size, most=most) if text else []


def _height(lines: Sequence[str], size: float) -> float:
    """Return the height of lines in inches, with a little room below."""
    return (len(lines) * _SPACING * size * 1.2 + 3) / 72 if lines else 0.0
