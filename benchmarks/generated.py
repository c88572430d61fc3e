"""The methods at the settings of their papers, and batches for them that are drawn, not read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import lightning.pytorch as pl
import torch
import yaml
from jsonargparse import ArgumentParser
from torch import Tensor

import experiments
from datamodules.batch import REFERENCE_SIDE
from datamodules.labels import class_names
from lightning_modules.emotion_gan import EMotionGAN

METHODS = {
    "eMotion-GAN": "emotion_gan",
    "SSIM-VAE": "ssim_vae",
    "Flow-CNN": "flow_cnn",
    "PCNN": "pcnn",
    "ResNet-18": "resnet18",
    "DCGAN": "dcgan_svm",
}
"""The experiment of each method."""
_TINY: dict[str, dict[str, Any]] = {
    "eMotion-GAN": {"size": 32, "width": 4},
    "SSIM-VAE": {"size": 32, "width": 4, "latent": 8},
    "Flow-CNN": {"size": 32},
    "PCNN": {"size": 64, "width": 8},
    "ResNet-18": {"size": 32, "width": 8},
    "DCGAN": {"size": 32, "width": 8},
}
_TINY_BATCH = 4
_STEADY: dict[str, dict[str, Any]] = {
    "PCNN": {"optimizer": {"class_path": "torch.optim.SGD", "init_args": {"lr": 1e-4}}},
    "ResNet-18": {
        "size": 64,
        "optimizer": {"class_path": "torch.optim.SGD", "init_args": {"lr": 1e-3}},
    },
}
_STEADY_BATCH = 16


class Setting(NamedTuple):
    """What one method is trained with.

    Attributes:
        method: Its name in the papers.
        arguments: Arguments of its module that differ from those of its experiment.
        batch: Samples of a batch.
    """

    method: str
    arguments: dict[str, Any]
    batch: int

    def __str__(self) -> str:
        return f"{self.side} px, batch {self.batch}"

    @property
    def side(self) -> int:
        """Side of images and flows in pixels."""
        return int({**_read(self.method)["model"]["init_args"], **self.arguments}["size"])

    @property
    def moves(self) -> bool:
        """Whether it reads flows, not still images."""
        return self.method not in ("PCNN", "ResNet-18", "DCGAN")

    def build(self, seed: int = 0) -> pl.LightningModule:
        """Make the module of its experiment, ready to be trained.

        Networks that eMotion-GAN fits beforehand keep random weights, which cost a step the same,
        and its image generator teaches G_F from the first epoch on, as in two thirds of the
        epochs of the paper.
        """
        section = _read(self.method)["model"]
        section["init_args"].update(self.arguments)
        if self.method == "eMotion-GAN":
            section["init_args"]["connection_epoch"] = 0
        parser = ArgumentParser(exit_on_error=False)
        parser.add_subclass_arguments(pl.LightningModule, "model")
        pl.seed_everything(seed, verbose=False)
        module: pl.LightningModule = parser.instantiate(parser.parse_object({"model": section}))[
            "model"
        ]
        if isinstance(module, EMotionGAN):
            for network in (module.e_fer, module.judges.flow, module.judges.image):
                network.fitted.fill_(True)
        return module


def paper_setting(method: str) -> Setting:
    """Return the setting of a method's experiment."""
    return Setting(method, {}, int(_read(method)["data"]["init_args"]["batch_size"]))


def tiny_setting(method: str) -> Setting:
    """Return a setting of few pixels, weights and samples."""
    return Setting(method, _TINY[method], _TINY_BATCH)


def steady_setting(method: str) -> Setting:
    """Return a small setting whose training multiplies rounding errors as little as may be.

    At their own rates PCNN and ResNet-18 lose each other on noise within ten steps, whatever the
    devices: batch statistics of few places are ill-conditioned.
    """
    return Setting(method, {**_TINY[method], **_STEADY.get(method, {})}, _STEADY_BATCH)


class GeneratedData(pl.LightningDataModule):
    """Batches of noise that lie on a device, so that no step waits for them.

    Args:
        setting: Of which method and how large.
        device: Where they lie.
        count: How many different batches come in turns.
    """

    regions = ("eyes", "mouth")

    def __init__(self, setting: Setting, device: torch.device, count: int = 4) -> None:
        super().__init__()
        self.size = setting.side
        self.class_names = class_names("basic7")
        generator = torch.Generator().manual_seed(0)
        self._batches = [
            # Which pairs G_W learns of is a question that the host answers.
            {key: x if key == "is_neutral_apex" else x.to(device) for key, x in batch.items()}
            for batch in (_draw(setting, generator) for _ in range(count))
        ]

    def transfer_batch_to_device(
        self, batch: dict[str, Tensor], device: torch.device, dataloader_idx: int
    ) -> dict[str, Tensor]:
        """Leave everything where it is."""
        return batch

    def train_dataloader(self) -> Endless:
        """Return the batches, one after the other without end."""
        return Endless(self._batches)


class Endless:
    """Batches in turns without end."""

    def __init__(self, batches: list[dict[str, Tensor]]) -> None:
        self._batches = batches

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        while True:
            # New dictionaries: a data module may change what it is given.
            yield from (dict(batch) for batch in self._batches)

    def __len__(self) -> int:
        return 10**9


def _read(method: str) -> dict[str, Any]:
    path = Path(experiments.__path__[0]) / f"{METHODS[method]}.yaml"
    config: dict[str, Any] = yaml.safe_load(path.read_text("utf-8"))
    return config


def _draw(setting: Setting, generator: torch.Generator) -> dict[str, Tensor]:
    """Draw a batch; `datamodules.batch` says what its keys mean."""
    count, side = setting.batch, setting.side

    def image() -> Tensor:
        return torch.rand(count, 3, side, side, generator=generator)

    def flow(*more: int) -> Tensor:
        # As long as flows of faces are at the apex: 2 pixels of a 128x128 grid.
        scale = 2 * side / REFERENCE_SIDE
        return scale * torch.randn(count, *more, 2, side, side, generator=generator)

    batch = {
        "label": torch.randint(7, (count,), generator=generator),
        "subject": torch.zeros(count, dtype=torch.int64),
        "sample_id": torch.arange(count),
    }
    if not setting.moves:
        return {**batch, "image": image()}
    batch["flow"] = flow()
    if setting.method == "SSIM-VAE":
        batch["occluded_flow"] = flow(len(GeneratedData.regions))
    if setting.method == "eMotion-GAN":
        batch |= {"posed_flow": flow(), "neutral": image(), "apex": image()}
        batch["is_neutral_apex"] = torch.ones(count, dtype=torch.bool)
    return batch
