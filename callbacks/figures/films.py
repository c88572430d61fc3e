"""Pictures of the films that were predicted on."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import lightning.pytorch as pl
from lightning.pytorch.utilities import rank_zero_info

from callbacks.figures.base import figures_folder, input_folder, is_live, titled
from callbacks.figures.film_drawing import FilmDrawing


class FilmPictures(pl.Callback):
    """Draws what ``predictions.csv`` says of each film of an input, once it is whole.

    Into ``figures/predict/<input>/`` go ``<film>.mp4``, the frames that were looked at, each face
    with its box, its number, the smoothed answer and its probability; and
    ``<film>_timeline.png``, the smoothed probabilities of each person over time; see `FilmDrawing`.

    Args:
        annotated: Whether to write the films.
        timeline: Whether to draw the probabilities over time.
    """

    def __init__(self, annotated: bool = True, timeline: bool = True) -> None:
        self.annotated = annotated
        self.timeline = timeline

    def on_predict_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw the films."""
        data = trainer.datamodule  # type: ignore[attr-defined]
        report = getattr(data, "report", None)
        if report is None or not report.answers or not trainer.is_global_zero:
            return
        table = Path(trainer.default_root_dir) / input_folder(trainer) / "predictions.csv"
        if not table.is_file():  # no callback writes one
            return
        folder = figures_folder(trainer) / input_folder(trainer)
        drawing = FilmDrawing(
            data.class_names,
            partial(titled, trainer),
            every=data.every,
            smoothing=data.smoothing,
            annotated=self.annotated,
            timeline=self.timeline,
        )
        if drawing.draw(table, folder, data.film, live=is_live(trainer)):
            rank_zero_info(f"Films and timelines: {folder}")
