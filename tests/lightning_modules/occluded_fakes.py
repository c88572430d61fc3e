"""Flows of faces and of the same faces occluded, from memory."""

from __future__ import annotations

import math
from typing import Any

import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from lightning_modules.ssim_vae import SSIMVAE

SIZE = 16
CLASS_NAMES = ("happiness", "surprise", "sadness")
REGIONS = ("eyes", "mouth")


class OccludedFlows(Dataset[dict[str, Tensor]]):
    """Both halves of a face move in directions that tell the class; occlusions hide one half."""

    def __init__(self, length: int) -> None:
        generator = torch.Generator().manual_seed(0)
        rows = torch.linspace(-1, 1, SIZE).view(SIZE, 1).expand(SIZE, SIZE)
        self.samples = []
        for index in range(length):
            label = index % len(CLASS_NAMES)
            angle = torch.tensor(2 * math.pi * label / len(CLASS_NAMES))
            strength = 0.6 + 0.4 * torch.rand((), generator=generator)
            upper = torch.stack((angle.cos(), angle.sin())).view(2, 1, 1)
            flow = upper * torch.exp(-6 * (rows + 0.5) ** 2)
            flow = strength * (flow + upper.flip(0) * torch.exp(-6 * (rows - 0.5) ** 2))
            hidden = torch.stack((flow * (rows > 0), flow * (rows < 0)))
            self.samples.append(
                {
                    "flow": flow,
                    "occluded_flow": hidden,
                    "label": torch.tensor(label),
                    "subject": torch.tensor(index),
                    "sample_id": torch.tensor(10 + index),
                }
            )

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return self.samples[index]


class OccludedDataModule(LightningDataModule):
    """What SSIMVAE asks of a data module."""

    class_names = CLASS_NAMES
    regions = REGIONS

    def __init__(self, length: int = 5, batch_size: int = 3) -> None:
        super().__init__()
        self.length = length
        self.batch_size = batch_size

    def _loader(self) -> DataLoader[dict[str, Tensor]]:
        return DataLoader(OccludedFlows(self.length), batch_size=self.batch_size)

    train_dataloader = val_dataloader = test_dataloader = _loader

    def predict_dataloader(self) -> DataLoader[dict[str, Any]]:
        clips = [
            {
                "posed_flow": sample["occluded_flow"][0],
                "frame": torch.tensor(1),
                "sequence": "clip",
                "sample_id": sample["sample_id"],
            }
            for sample in OccludedFlows(self.length).samples
        ]
        return DataLoader(clips, batch_size=self.batch_size)  # type: ignore[arg-type]


def small_ssim_vae(**options: Any) -> SSIMVAE:
    """Build an SSIM-VAE that takes milliseconds a step."""
    torch.manual_seed(2)
    defaults = {"num_classes": 3, "size": SIZE, "latent": 6, "width": 4, "clip": 20.0}
    return SSIMVAE(**{**defaults, **options})


def occluded_batch(length: int = 4) -> dict[str, Tensor]:
    return next(iter(DataLoader(OccludedFlows(length), length)))
