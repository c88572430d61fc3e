"""Faces from memory for the methods on still images."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

SIZE = 48
CLASS_NAMES = ("neutral", "happiness", "surprise")


class FakeFaces(Dataset[dict[str, Any]]):
    """Grey pictures with a bright spot whose place tells the class."""

    def __init__(self, length: int, *, kind: str = "train") -> None:
        generator = torch.Generator().manual_seed(0)
        axis = torch.linspace(-1, 1, SIZE)
        y, x = torch.meshgrid(axis, axis, indexing="ij")
        self.samples: list[dict[str, Any]] = []
        for index in range(length):
            label = index % len(CLASS_NAMES)
            spot = torch.exp(-6 * ((y - 0.7 * (label - 1)) ** 2 + x**2))
            noise = 0.2 * torch.rand(3, SIZE, SIZE, generator=generator)
            sample = {"image": 0.8 * spot + noise, "sample_id": torch.tensor(index)}
            if kind == "predict":
                sample |= {
                    "source": f"film{index}.mp4",
                    "frame": torch.tensor(index),
                    "box": torch.tensor([0, 1, 30, 30]),
                }
            else:
                shares = torch.full((len(CLASS_NAMES),), 0.1)
                shares[label] = 0.8
                sample |= {"label": torch.tensor(label), "votes": shares}
            if kind == "test":
                sample["subsets"] = torch.tensor([index % 2 == 0, False, index < 3])
            self.samples.append(sample)

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self.samples[index]


class FaceFakes(LightningDataModule):
    """What the methods ask of a data module of still images."""

    class_names = CLASS_NAMES
    subset_names = ("occlusion", "pose30", "pose45")

    def __init__(
        self, length: int = 6, batch_size: int = 6, *, class_balance: str = "none"
    ) -> None:
        super().__init__()
        self.length, self.batch_size, self.class_balance = length, batch_size, class_balance
        self.class_counts = (1, 2, 6)

    def train_dataloader(self) -> DataLoader[dict[str, Any]]:
        return DataLoader(FakeFaces(self.length), batch_size=self.batch_size)

    val_dataloader = train_dataloader

    def test_dataloader(self) -> DataLoader[dict[str, Any]]:
        return DataLoader(FakeFaces(self.length, kind="test"), batch_size=self.batch_size)

    def predict_dataloader(self) -> DataLoader[dict[str, Any]]:
        return DataLoader(FakeFaces(self.length, kind="predict"), batch_size=self.batch_size)


def face_batch(length: int = 6, kind: str = "train") -> dict[str, Tensor]:
    return next(iter(DataLoader(FakeFaces(length, kind=kind), batch_size=length)))
