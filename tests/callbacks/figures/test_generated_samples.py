from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from matplotlib.image import imread
from torch.utils.data import DataLoader

from callbacks.figures.generated_samples import GeneratedSamples, draw_samples


class Drawing(pl.LightningModule):
    """Draws its weight as a grey, and logs losses that tell the step."""

    latent = 3

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor(0.25))
        self.noises: list[torch.Tensor] = []
        self.rests = 99
        self.automatic_optimization = False

    def generate(self, noise: torch.Tensor) -> torch.Tensor:
        self.noises.append(noise)
        return torch.full((len(noise), 3, 4, 4), self.weight.item())

    def training_step(self, batch: Any, batch_idx: int) -> None:
        if self.current_epoch >= self.rests:
            return
        self.log_dict({"train/d": self.global_step + 1.0, "train/g": 10.0 * batch_idx})
        self.optimizers().step()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.0)


def fit(folder: Path, callback: GeneratedSamples, epochs: int, **options: Any) -> Drawing:
    module = Drawing()
    module.rests = options.pop("rests", 99)
    trainer = pl.Trainer(
        default_root_dir=folder,
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[callback],
    )
    trainer.fit(module, DataLoader(torch.zeros(2, 1), 1, num_workers=0), **options)
    trainer.save_checkpoint(folder / "last.ckpt", weights_only=False)
    return module


pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers", "ignore:.*warning")


def test_it_draws_the_same_noise_now_and_then_and_at_the_end(tmp_path):
    module = fit(tmp_path, GeneratedSamples(every_n_epochs=2, side=2), 3)
    names = {path.name for path in (tmp_path / "figures").iterdir()}
    assert names == {"samples_epoch_002.png", "samples_epoch_003.png", "loss_curves.png"}
    assert torch.equal(*module.noises)
    assert module.noises[0].shape == (4, 3)
    picture = imread(tmp_path / "figures" / "samples_epoch_002.png")[..., :3]
    assert picture.shape == (10, 10, 3)
    np.testing.assert_allclose(picture[:4, 6:], 64 / 255)
    assert (picture[4:6] == 1).all()


def test_curves_are_means_over_epochs_and_survive_a_resume(tmp_path):
    callback = GeneratedSamples()
    fit(tmp_path, callback, 2)
    assert callback.state_dict()["curves"] == [[1.5, 5.0], [3.5, 5.0]]
    resumed = GeneratedSamples()
    fit(tmp_path, resumed, 4, ckpt_path=tmp_path / "last.ckpt", weights_only=True, rests=3)
    # The epoch in which nothing moved has no point.
    assert resumed.state_dict()["curves"] == [[1.5, 5.0], [3.5, 5.0], [5.5, 5.0]]


def test_faces_stand_row_by_row(tmp_path):
    faces = torch.arange(4).view(4, 1, 1, 1).expand(4, 3, 2, 2) / 4
    draw_samples(tmp_path / "grid.png", faces)
    picture = imread(tmp_path / "grid.png")[..., 0]
    np.testing.assert_allclose(picture[::4, ::4], [[0, 64 / 255], [128 / 255, 191 / 255]])


def test_numbers_below_one_are_refused():
    with pytest.raises(ValueError, match="every_n_epochs and side of 1 or more; got 0 and 8"):
        GeneratedSamples(every_n_epochs=0)
