from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from callbacks.figures import progress
from callbacks.figures.progress import LearningCurve, draw_progress, loss_keys
from callbacks.records.metrics_file import RATE, SECONDS, read_metrics
from experiments.run.loggers import MetricsCSV
from tests.callbacks.fakes import FakeData, FakeModule, trainer

STEPS = {"log_every_n_steps": 1}


def test_losses_of_one_name_stand_together() -> None:
    keys = ("train/g", "train/epe", "val/epe", "val/cross_entropy")
    assert loss_keys({key: {} for key in keys}) == ["train/epe", "val/epe"]
    keys = ("train/crops", "train/total", "val/cross_entropy")
    assert loss_keys({key: {} for key in keys}) == ["train/total", "val/cross_entropy"]
    assert loss_keys({"train/d": {}, "train/g": {}, "val/auc": {}}) == ["train/d", "train/g"]


@pytest.mark.parametrize(("best", "step"), [(max, 20), (min, 10)])
def test_a_star_marks_the_best(best: Callable[..., float], step: float) -> None:
    logged = {
        "train/total": dict.fromkeys(range(1, 31), 1.0) | {25: 3.0},
        "val/x": {10: 0.2, 20: 0.9, 30: 0.5},
        RATE: {10: 0.1, 20: 0.1, 30: 0.01},
        SECONDS: {10: 60.0, 20: 60.0, 30: 60.0},
    }
    figure = draw_progress("title", logged, "val/x", best)
    losses, rate, spent, right = figure.axes
    (star,) = (line for line in right.lines if line.get_marker() == "*")
    assert np.asarray(star.get_xdata()).tolist() == [step]
    # Ten steps to a validation, the last with one value of 3.
    assert np.asarray(losses.lines[0].get_ydata()).tolist() == pytest.approx([1, 1, 1.2])
    assert np.asarray(rate.lines[0].get_ydata()).tolist() == [0.1, 0.1, 0.01]
    assert "3.0 minutes" in spent.get_xlabel()


def test_a_training_draws_it(tmp_path: Path) -> None:
    fit = trainer(tmp_path, LearningCurve(), logger=MetricsCSV(tmp_path), max_epochs=3, **STEPS)
    fit.fit(FakeModule(), FakeData())
    assert imread(tmp_path / "figures" / "progress.png").shape[:2] == (960, 1050)
    logged = read_metrics(tmp_path)
    assert list(logged[RATE].values()) == pytest.approx([0.1] * 3)
    assert list(logged[RATE]) == [2, 5, 8]  # the last step of each epoch, as Lightning counts
    assert all(0 < seconds < 60 for seconds in logged[SECONDS].values())


def test_it_draws_seldom_where_validations_are_fast(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, drawn = 0.0, []

    def draw(*_: object) -> None:
        nonlocal now
        drawn.append(now)
        now += 2.0

    monkeypatch.setattr("time.monotonic", lambda: now)
    monkeypatch.setattr(progress, "draw_progress", draw)
    monkeypatch.setattr(progress, "write_picture", lambda *_: None)
    curve = LearningCurve()

    class Clocked(FakeModule):
        def on_validation_start(self) -> None:
            nonlocal now
            now += 15.0

    fit = trainer(tmp_path, curve, logger=MetricsCSV(tmp_path), max_epochs=60, **STEPS)
    fit.fit(Clocked(), FakeData())
    share = 2.0 * (len(drawn) - 1) / drawn[-1]  # all but the one at the end
    assert 0.005 < share < 0.011


def test_a_cut_line_and_a_second_time(tmp_path: Path) -> None:
    assert read_metrics(tmp_path) == {}
    with (tmp_path / "metrics.csv").open("w", newline="") as file:
        csv.writer(file).writerows(
            [["step", "val/x", SECONDS], [9, 0.5, 2], [4, 0.25, ""], [9, 0.5, 3], ["1", "nan"]]
        )
        file.write("1")
    assert read_metrics(tmp_path) == {"val/x": {4: 0.25, 9: 0.5}, SECONDS: {9: 5}}
    assert list(read_metrics(tmp_path)["val/x"]) == [4, 9]
