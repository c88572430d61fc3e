from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import lightning.pytorch as pl
import numpy as np
import pytest
import torch

from callbacks.figures.base import ChosenSamples, face_to_rgb, send_picture
from callbacks.figures.pictures import LINE_HEIGHT, captioned, new_figure, write_picture
from tests.callbacks.fakes import faces_of, trainer


def test_the_figure_goes_to_wandb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Told(pl.loggers.WandbLogger):
        def __init__(self) -> None:
            self.images: list[Any] = []

        def log_image(self, key: str, images: list[Any], step: int | None = None) -> None:
            self.images.append((key, images))

    logger = Told()
    runner: Any = trainer(tmp_path)
    monkeypatch.setattr(type(runner), "loggers", [logger])
    send_picture(runner, new_figure(1, 1), "kept", "test/kept")
    assert logger.images == [("test/kept", [str(tmp_path / "figures" / "kept.png")])]


def test_samples_are_chosen_by_their_ids_alone() -> None:
    chosen = []
    for order in (range(30), reversed(range(30))):
        samples = ChosenSamples(per_class=2)
        samples.add(faces_of(list(order)))
        taken = samples.take()
        assert list(taken) == [0, 1, 2]
        chosen.append([[int(one["sample_id"]) for one in kept] for kept in taken.values()])
        assert samples.take() == {}
    assert chosen[0] == chosen[1]
    assert [len(kept) for kept in chosen[0]] == [2, 2, 2]
    assert chosen[0] != [[0, 3], [1, 4], [2, 5]]


@pytest.mark.parametrize(
    ("caption", "lines"), [("", 1), ("a $ sign, data: synthetic", 1), ("many words, " * 20, 5)]
)
def test_a_picture_keeps_its_pixels_above_its_caption(
    tmp_path: Path, caption: str, lines: int
) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (30, 41, 3), np.uint8)
    write_picture(tmp_path / "a.png", captioned(picture, caption))
    drawn = cv2.cvtColor(cv2.imread(str(tmp_path / "a.png")), cv2.COLOR_BGR2RGB)
    factor = 12  # to be at least 480 pixels wide
    assert drawn.shape == (30 * factor + lines * LINE_HEIGHT, 41 * factor, 3)
    for i, j in np.ndindex(factor, factor):
        np.testing.assert_array_equal(
            drawn[i : 30 * factor : factor, j::factor], picture, strict=True
        )
    words = (drawn[30 * factor :] < 128).any(axis=(0, 2))
    assert words.any() == bool(caption)
    assert not words[-4:].any()


def test_a_face_is_clamped_and_rounded() -> None:
    face = torch.tensor([-0.1, 0.5, 1.2]).reshape(3, 1, 1)
    assert face_to_rgb(face).tolist() == [[[0, 128, 255]]]
