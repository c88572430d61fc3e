"""Still faces from memory for the tests of DCGAN + SVM."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningDataModule
from lightning.pytorch.callbacks import Checkpoint
from torch.utils.data import DataLoader, Dataset

from lightning_modules.dcgan_svm import DCGANSVM

CLASS_NAMES = ("neutral", "happiness", "surprise")
SIZE = 16


def draw_faces(labels: np.ndarray, people: np.ndarray, seed: int = 0) -> np.ndarray:
    """Draw uint8 [N, H, W, 3]: a bright bar whose height is the expression, on a person's grey."""
    random = np.random.default_rng(seed)
    images = random.integers(0, 40, (len(labels), SIZE, SIZE, 3))
    images += (10 * (people % 5))[:, None, None, None]
    for image, label in zip(images, labels, strict=True):
        image[2 + 4 * label : 5 + 4 * label, 3:13] += 150
    return images.clip(0, 255).astype(np.uint8)


class _Rows(Dataset[dict[str, torch.Tensor]]):
    def __init__(self, data: BarFaces, rows: np.ndarray) -> None:
        self._data, self._rows = data, rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        row = int(self._rows[index])
        sample = {
            "image": torch.from_numpy(self._data.images[row]).permute(2, 0, 1) / 255,
            "label": torch.tensor(self._data.labels[row]),
            "sample_id": torch.tensor(row),
        }
        if self._data.units is not None:
            sample["action_units"] = torch.from_numpy(self._data.units[row]).float()
        return sample


class BarFaces(LightningDataModule):
    """What DCGANSVM asks of a data module."""

    class_names = CLASS_NAMES
    subset_names: tuple[str, ...] = ()
    size = SIZE
    seed = 3
    manifest_hash = "fake"
    class_balance = "none"
    source = "synthetic"

    def __init__(self, length: int = 36, batch_size: int = 12, units: Any = None) -> None:
        super().__init__()
        self.labels = np.arange(length) % len(CLASS_NAMES)
        self.people = np.arange(length) // 4
        self.images = draw_faces(self.labels, self.people)
        self.units = units
        self.batch_size = batch_size
        held = self.people % 3 == 2
        self.parts = {
            "train": np.flatnonzero(~held),
            "val": np.flatnonzero(held),
            "test": np.flatnonzero(held),
        }

    def faces(self, part: str) -> tuple[np.ndarray, np.ndarray]:
        return self.images, self.parts[part]

    def annotations(self, part: str) -> dict[str, np.ndarray]:
        rows = self.parts[part]
        columns = {"label": self.labels[rows], "subject": self.people[rows]}
        return columns if self.units is None else {**columns, "action_units": self.units[rows]}

    def sample_name(self, sample_id: int) -> str:
        return f"face_{sample_id}"

    def _loader(self, part: str) -> DataLoader[dict[str, torch.Tensor]]:
        return DataLoader(_Rows(self, self.parts[part]), self.batch_size)

    def train_dataloader(self) -> DataLoader[dict[str, torch.Tensor]]:
        return self._loader("train")

    def val_dataloader(self) -> DataLoader[dict[str, torch.Tensor]]:
        return self._loader("val")

    def test_dataloader(self) -> DataLoader[dict[str, torch.Tensor]]:
        return self._loader("test")


def small_dcgan_svm(**options: Any) -> DCGANSVM:
    """Build a DCGANSVM that takes milliseconds a step."""
    torch.manual_seed(1)
    defaults = {"num_classes": 3, "size": SIZE, "width": 4, "latent": 5}
    small = {"search_trials": 3, "search_folds": 2, "quality_samples": 12}
    return DCGANSVM(**{**defaults, **small, **options})


class Saver(Checkpoint):
    """Saves at the end of every epoch, after the module's own end of it, as the command does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def setup(self, trainer, pl_module, stage) -> None:
        trainer.fit_loop._iteration_based_training = lambda: False

    def on_train_epoch_end(self, trainer, pl_module) -> None:
        trainer.save_checkpoint(self.folder / "last.ckpt", weights_only=False)
