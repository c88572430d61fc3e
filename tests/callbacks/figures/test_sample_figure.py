from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import pytest

from callbacks.figures import sample_figure
from callbacks.figures.sample_figure import SampleFigure, Samples, new_figure, save_figure
from tests.callbacks.fakes import FaceData, FaceModule, FakeData, FakeModule, faces_of, trainer


class Kept(SampleFigure):
    keys = ("label",)

    def __init__(self) -> None:
        super().__init__()
        self.drawn: list[Samples] = []

    def draw(self, trainer: pl.Trainer, samples: Samples) -> None:
        self.drawn.append(samples)
        figure = new_figure(1, 1)
        save_figure(trainer, figure, "kept")


def test_all_samples_are_drawn_once(tmp_path: Path) -> None:
    callback = Kept()
    for _ in range(2):  # a second test begins anew
        trainer(tmp_path, callback).test(FaceModule(), datamodule=FaceData(), verbose=False)
    for samples in callback.drawn:
        np.testing.assert_array_equal(samples["sample_id"], np.arange(30))
        np.testing.assert_array_equal(samples["label"], np.arange(30) % 3)
    assert [path.name for path in (tmp_path / "figures").iterdir()] == ["kept.png"]


def test_processes_put_their_samples_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ranks = [Kept(), Kept()]
    # As a distributed sampler deals them out, the last one repeated to fill up; one is idle.
    for callback, numbers in zip(ranks, ([4, 0, 2], [1, 3, 0]), strict=True):
        callback.on_test_start(None, None)  # type: ignore[arg-type]
        callback.on_test_batch_end(None, FaceModule(), faces_of(numbers), None, 0)  # type: ignore[arg-type]
    everyone = [*(rank._samples for rank in ranks), {}]
    monkeypatch.setattr(sample_figure, "gather", lambda value: everyone)
    runner: Any = trainer(tmp_path)
    ranks[0].on_test_epoch_end(runner, FaceModule())
    np.testing.assert_array_equal(ranks[0].drawn[0]["sample_id"], np.arange(5))
    np.testing.assert_array_equal(ranks[0].drawn[0]["label"], np.arange(5) % 3)


def test_what_a_method_does_not_return_is_said(tmp_path: Path) -> None:
    callback = Kept()
    callback.keys = ("features",)
    with pytest.raises(ValueError, match="Kept needs features of a step, which FakeModule"):
        trainer(tmp_path, callback).test(FakeModule(), datamodule=FakeData(), verbose=False)


def test_the_figure_goes_to_wandb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Told(pl.loggers.WandbLogger):
        def __init__(self) -> None:
            self.images: list[Any] = []

        def log_image(self, key: str, images: list[Any], step: int | None = None) -> None:
            self.images.append((key, images))

    logger = Told()
    runner: Any = trainer(tmp_path)
    monkeypatch.setattr(type(runner), "loggers", [logger])
    path = save_figure(runner, new_figure(1, 1), "kept")
    assert logger.images == [("test/kept", [str(path)])]
