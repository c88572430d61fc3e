"""The learning curve of a run, drawn while it trains."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
from lightning.pytorch.trainer.states import TrainerFn
from matplotlib.figure import Figure

from callbacks.figures.base import figures_folder, titled
from callbacks.figures.pictures import new_figure, set_title, write_picture
from callbacks.figures.style import PALETTE
from callbacks.records.metrics_file import RATE, SECONDS, Series, read_metrics

_SHARE = 0.01  # of the time of a training, at most, that drawing takes before its end
_FIRST = 0.5  # seconds that the first drawing is taken to need


class LearningCurve(pl.Callback):
    """Draws ``figures/progress.png`` after validations: losses, monitored value, rate and time.

    It draws what ``metrics.csv`` of the run folder holds, so that the curve of a resumed run is
    whole, and adds to it, and to W&B, the learning rate and the time of each validation. A picture
    is drawn at the end of the training, and before where all drawing together stays below a
    hundredth of the time. No training step waits for it.
    """

    def __init__(self) -> None:
        self._began = self._drawn = 0.0
        self._cost = _FIRST

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock."""
        self._began = self._drawn = time.monotonic()

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log rate and time, and draw where it is due."""
        if trainer.state.fn != TrainerFn.FITTING or trainer.sanity_checking:
            return
        now = time.monotonic()
        values: dict[str, Any] = {SECONDS: now - self._began}
        self._began = now
        for group in trainer.optimizers[0].param_groups[:1] if trainer.optimizers else ():
            values[RATE] = float(group["lr"])
        # Under the step of what the validation logged.
        trainer._logger_connector.log_metrics(values)
        if now - self._drawn >= self._cost / _SHARE:
            self._draw(trainer)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw the whole curve."""
        self._draw(trainer)

    def _draw(self, trainer: pl.Trainer) -> None:
        began = time.monotonic()
        logged = read_metrics(Path(trainer.default_root_dir)) if trainer.is_global_zero else {}
        if not logged:
            return
        kept: Any = trainer.checkpoint_callback
        monitor, mode = getattr(kept, "monitor", None), getattr(kept, "mode", None)
        best = max if mode == "max" else min
        figure = draw_progress(titled(trainer, "progress"), logged, monitor, best)
        write_picture(figures_folder(trainer) / "progress.png", figure)
        self._drawn = time.monotonic()
        self._cost = self._drawn - began


def draw_progress(
    title: str,
    logged: Mapping[str, Series],
    monitor: str | None,
    best: Callable[..., float],
) -> Figure:
    """Draw losses and the monitored value, learning rate, and seconds between validations.

    Args:
        title: Of the figure.
        logged: Values of each key by step.
        monitor: Key of the value that selects the best checkpoint.
        best: Chooses the step of its best value, which a star marks: `min` or `max`.

    Reference:
        Isensee et al., nnU-Net (Nature Methods 18, 2021), whose code draws the like of each fold.
    """
    figure = new_figure(7.0, 6.4)
    set_title(figure, title)
    losses, rate, spent = figure.subplots(3, sharex=True, height_ratios=(3, 1, 1))
    value = logged.get(monitor or "", {})
    lines: list[tuple[Any, Any]] = []
    for key, colour in zip(loss_keys(logged), PALETTE, strict=False):
        steps, means = _means(logged[key], [*value])
        lines += [(losses.plot(steps, means, color=colour, marker=_marker(steps))[0], key)]
    losses.set_ylabel("loss")
    if value:
        star = best(value, key=value.__getitem__)
        right = losses.twinx()
        curve = right.plot([*value], [*value.values()], color=PALETTE[4], marker=_marker(value))
        right.plot(star, value[star], "*", color=PALETTE[4], markersize=13)
        right.set_ylabel(f"{monitor}, best {value[star]:.4g}", color=PALETTE[4])
        lines += [(curve[0], monitor)]
    above: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (0, 1), "ncols": 3}
    if lines:
        losses.legend(*zip(*lines, strict=True), fontsize=8, frameon=False, **above)
    for axes, key, name in ((rate, RATE, "learning rate"), (spent, SECONDS, "seconds")):
        series = logged.get(key, {})
        axes.plot([*series], [*series.values()], color="0.4", marker=_marker(series))
        axes.set_ylabel(name)
    total = sum(logged.get(SECONDS, {}).values())
    spent.set(ylim=(0, None), xlabel=f"step, of {total / 60:.1f} minutes in all")
    return figure


def loss_keys(logged: Mapping[str, Series]) -> list[str]:
    """Choose the losses to draw: the first that training and validation log under one name.

    Where there is none, the total or the first two of training, and ``val/cross_entropy``.
    """
    train = [key.removeprefix("train/") for key in logged if key.startswith("train/")]
    both = [name for name in train if f"val/{name}" in logged]
    if both:
        return [f"train/{both[0]}", f"val/{both[0]}"]
    chosen = ["total"] if "total" in train else train[:2]
    validated = [key for key in ("val/cross_entropy",) if key in logged]
    return [f"train/{name}" for name in chosen] + validated


def _means(series: Series, ends: list[float]) -> tuple[list[float], list[float]]:
    """Average values over what lies between two validations, where there are several."""
    steps, values = np.array([*series]), np.array([*series.values()])
    places = np.searchsorted(ends, steps) if len(ends) > 1 else np.arange(len(steps))
    groups = [places == place for place in np.unique(places)]
    return [steps[group].max() for group in groups], [values[group].mean() for group in groups]


def _marker(steps: Mapping[float, float] | list[float]) -> str | None:
    return "." if len(steps) < 20 else None
