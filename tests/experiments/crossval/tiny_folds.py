"""A classifier and a data module with folds, of a few numbers."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, Subset, TensorDataset

from datamodules.folds.assignment import subject_folds

NAMES = ("neutral", "happiness", "surprise")


class TinyClassifier(pl.LightningModule):
    """A linear layer.

    Args:
        lr: Learning rate.
    """

    def __init__(self, lr: float = 0.05) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.lr = lr
        self.layer = torch.nn.Linear(4, len(NAMES))

    def _evaluate(self, batch: list[Tensor]) -> dict[str, Tensor]:
        x, label, number = batch
        logits = self.layer(x)
        return {
            "logits": logits,
            "logits_upside_down": -logits,
            "label": label,
            "sample_id": number,
        }

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        return functional.cross_entropy(self.layer(batch[0]), batch[1])

    def validation_step(self, batch: list[Tensor], batch_idx: int) -> None:
        logits = self.layer(batch[0])
        self.log("val/loss", functional.cross_entropy(logits, batch[1]))
        right = (logits.argmax(dim=1) == batch[1]).float().mean()
        self.log("val/accuracy", right, batch_size=len(batch[1]))

    def test_step(self, batch: list[Tensor], batch_idx: int) -> dict[str, Tensor]:
        outputs = self._evaluate(batch)
        right = (outputs["logits"].argmax(dim=1) == batch[1]).float().mean()
        self.log("test/accuracy", right, batch_size=len(batch[1]))
        self.log("test/loss", functional.cross_entropy(outputs["logits"], batch[1]))
        return outputs

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=self.lr)


class TinyFolds(pl.LightningDataModule):
    """Samples of a few people.

    Args:
        fold: The fold to test.
        folds: Number of folds.
        subjects: Number of people, of six samples each.
        fold_mode: How folds are made.
    """

    source = "synthetic"
    class_names = NAMES
    manifest_hash = "0123456789abcdef"

    def __init__(
        self,
        fold: int = 0,
        folds: int | None = None,
        subjects: int = 6,
        fold_mode: str = "stratified",
    ) -> None:
        super().__init__()
        self.fold, self.folds, self.fold_mode = fold, folds, fold_mode
        draws = torch.Generator().manual_seed(0)
        self.person = [i // 6 for i in range(6 * subjects)]
        self.label = torch.tensor([i % 3 for i in range(6 * subjects)])
        noise = torch.randn(6 * subjects, 4, generator=draws)
        points = functional.one_hot(self.label, 4).float() + noise
        self.samples = TensorDataset(points, self.label, torch.arange(6 * subjects))
        self.split_sizes: dict[str, int] = {}

    def setup(self, stage: str) -> None:
        fold_of = subject_folds(self.person, self.label.tolist(), self.folds or 3)
        self.num_folds = int(fold_of.max()) + 1
        self.folds_hash = str(fold_of.tolist())
        if not 0 <= self.fold < self.num_folds:
            raise ValueError(f"fold must be from 0 to {self.num_folds - 1}, but is {self.fold}.")
        after = (self.fold + 1) % self.num_folds
        self.parts = {
            "test": [i for i, f in enumerate(fold_of) if f == self.fold],
            "val": [i for i, f in enumerate(fold_of) if f == after],
            "train": [i for i, f in enumerate(fold_of) if f not in (self.fold, after)],
        }
        self.split_sizes = {name: len(part) for name, part in self.parts.items()}
        self.test_subjects = sorted({f"S{self.person[i]:03d}" for i in self.parts["test"]})
        self.train_subjects = sorted({f"S{self.person[i]:03d}" for i in self.parts["train"]})

    def sample_name(self, sample_id: int) -> str:
        return f"S{self.person[sample_id]:03d}/{sample_id % 6:03d}"

    def _loader(self, part: str) -> DataLoader[Any]:
        return DataLoader(Subset(self.samples, self.parts[part]), batch_size=4)

    def train_dataloader(self) -> DataLoader[Any]:
        return self._loader("train")

    def val_dataloader(self) -> DataLoader[Any]:
        return self._loader("val")

    def test_dataloader(self) -> DataLoader[Any]:
        return self._loader("test")
