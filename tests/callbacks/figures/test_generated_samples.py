from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from matplotlib.image import imread
from torch.utils.data import DataLoader

from callbacks.figures import generated_samples
from callbacks.figures.generated_samples import GeneratedSamples, draw_samples
from callbacks.figures.pictures import LINE_HEIGHT, new_figure
from tests.callbacks.fakes import FakeData, FakeModule, trainer


class Drawing(pl.LightningModule):
    """Draws its weight as a grey, and has losses that tell the step."""

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

    def training_step(self, batch: Any, batch_idx: int) -> dict[str, torch.Tensor]:
        if self.current_epoch >= self.rests:
            return {}
        losses = {"d": self.global_step + 1.0, "g": 10.0 * batch_idx}
        self.optimizers().step()
        return {name: torch.tensor(loss) for name, loss in losses.items()}

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.0)


class Noise(pl.LightningDataModule):
    source = "synthetic"

    def train_dataloader(self) -> DataLoader[torch.Tensor]:
        return DataLoader(torch.zeros(2, 1), 1, num_workers=0)


def fit(folder: Path, callback: GeneratedSamples, epochs: int, **options: Any) -> Drawing:
    module = Drawing()
    module.rests = options.pop("rests", 99)
    runner = trainer(folder, callback, max_epochs=epochs)
    runner.fit(module, datamodule=Noise(), **options)
    runner.save_checkpoint(folder / "last.ckpt", weights_only=False)
    return module


pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers", "ignore:.*warning")


def test_it_draws_the_same_noise_now_and_then_and_at_the_end(tmp_path):
    module = fit(tmp_path, GeneratedSamples(every_n_epochs=2, side=2), 3)
    names = {path.name for path in (tmp_path / "figures").iterdir()}
    assert names == {"samples_epoch_002.png", "samples_epoch_003.png", "loss_curves.png"}
    assert torch.equal(*module.noises)
    assert module.noises[0].shape == (4, 3)
    picture = imread(tmp_path / "figures" / "samples_epoch_002.png")[..., :3]
    # Ten pixels a side, enlarged to be as wide as the caption below.
    factor = picture.shape[1] // 10
    assert picture.shape == (10 * factor + LINE_HEIGHT, 10 * factor, 3)
    faces = picture[: 10 * factor : factor, ::factor]
    np.testing.assert_allclose(faces[:4, 6:], 64 / 255)
    assert (faces[4:6] == 1).all()
    assert (picture[10 * factor :] < 0.5).any()


def test_the_last_faces_of_a_training_by_steps_are_drawn(tmp_path):
    runner = trainer(tmp_path, GeneratedSamples(side=1), max_epochs=-1, max_steps=3)
    runner.fit(Drawing(), datamodule=Noise())
    assert (tmp_path / "figures" / "samples_epoch_002.png").exists()


def test_the_source_of_the_data_is_said_in_both_pictures(tmp_path, monkeypatch):
    said = []
    for name in ("captioned", "draw_curves"):

        def record(*arguments, name=name):
            said.append(next(one for one in arguments if isinstance(one, str)))
            return new_figure(1, 1)

        monkeypatch.setattr(generated_samples, name, record)
    fit(tmp_path, GeneratedSamples(side=1), 1)
    assert said == [
        "Drawing, generated faces, epoch 1, data: synthetic",
        "Drawing, training losses, data: synthetic",
    ]


def test_curves_are_means_over_epochs_and_survive_a_resume(tmp_path):
    callback = GeneratedSamples()
    fit(tmp_path, callback, 2)
    assert callback.state_dict()["curves"] == [[1.5, 5.0], [3.5, 5.0]]
    resumed = GeneratedSamples()
    fit(tmp_path, resumed, 4, ckpt_path=tmp_path / "last.ckpt", weights_only=True, rests=3)
    # The epoch in which nothing moved has no point.
    assert resumed.state_dict()["curves"] == [[1.5, 5.0], [3.5, 5.0], [5.5, 5.0]]


def test_faces_stand_row_by_row():
    faces = torch.arange(4).view(4, 1, 1, 1).expand(4, 3, 2, 2) / 4
    picture = draw_samples(faces)
    assert picture.shape == (6, 6, 3)
    assert picture[::4, ::4, 0].tolist() == [[0, 64], [128, 191]]
    assert (picture[2:4] == 255).all()


def test_numbers_below_one_are_refused():
    with pytest.raises(ValueError, match="every_n_epochs and side of 1 or more; got 0 and 8"):
        GeneratedSamples(every_n_epochs=0)


def test_a_method_that_generates_nothing_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"generate\(noise\) and latent, which FakeModule has"):
        trainer(tmp_path, GeneratedSamples(), max_epochs=1).fit(FakeModule(), datamodule=FakeData())
