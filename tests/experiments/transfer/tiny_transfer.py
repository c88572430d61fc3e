"""A method that takes over a layer, and data sets of a few numbers, built as the real ones are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, Subset, TensorDataset

NAMES = {"basic7": ("happiness", "anger", "fear"), "all8": ("happiness", "anger", "fear", "sad")}

_EXPERIMENT = """
model:
  class_path: tests.experiments.transfer.tiny_transfer.TinyTransfer
data:
  class_path: tests.experiments.transfer.tiny_transfer.TinySet
  init_args:
    seed: ${seed_everything}
trainer:
  accelerator: cpu
  max_epochs: 1
  enable_progress_bar: false
"""
_SET = """
model:
  init_args: {{num_classes: {classes}}}
data:
  class_path: tests.experiments.transfer.tiny_transfer.{name}
  init_args: {arguments}
"""
_SETS = {
    "rafd": ("RaFDDataModule", "{expressions: basic7}"),
    "views": ("RaFDDataModule", "{angles: [0, 45, 90, 135, 180]}"),
    "other": ("TinySet", "{seed: 5}"),
    "eight": ("TinySet", "{expressions: all8}"),
    "faces": ("TinyFaces", "{seed: 7}"),
}


def write_files(folder: Path) -> None:
    """Write the configs of the method and of the data sets."""
    (folder / "tiny.yaml").write_text(_EXPERIMENT)
    for file, (name, arguments) in _SETS.items():
        (folder / f"{file}.yaml").write_text(
            _SET.format(name=name, arguments=arguments, classes=3 + (file == "eight"))
        )


class TinyTransfer(pl.LightningModule):
    """A linear layer that is learnt without labels, and a classifier on it.

    Args:
        pretrained: Checkpoint to take the layer from; it is not trained further.
        task: emotions or action_units.
        num_classes: Anything.
    """

    def __init__(
        self, pretrained: str | None = None, task: str = "emotions", num_classes: int = 3
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.layer, self.head = torch.nn.Linear(4, 4), torch.nn.Linear(4, 4)
        if pretrained is not None:
            state = torch.load(pretrained, weights_only=True)["state_dict"]
            self.layer.load_state_dict(
                {name[6:]: value for name, value in state.items() if name.startswith("layer.")}
            )
            self.layer.requires_grad_(False)

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        x, label, _ = batch
        features = self.layer(x)
        known = label >= 0
        loss = (features - x).pow(2).mean()
        logits = self.head(features.detach())[known]
        return loss + functional.cross_entropy(logits, label[known], reduction="sum")

    def test_step(self, batch: list[Tensor], batch_idx: int) -> dict[str, Tensor]:
        x, label, number = batch
        logits = self.head(self.layer(x))
        self.log("test/accuracy", (logits.argmax(1) == label).float().mean())
        self.log("test/auc", 0.5)
        self.log("test/auc_happiness", 0.75)
        self.log("test/auc_fear", 0.25)
        return {"logits": logits, "label": label, "sample_id": number}

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)


class TinySet(pl.LightningDataModule):
    """Samples of three people: one trains, one is left out, one is tested.

    Args:
        root: Anything.
        expressions: Name of the set of classes.
        fold: Anything.
        seed: Of the points.
    """

    num_folds = 1
    fold_mode = "stratified"
    folds_hash = "f0f0"

    def __init__(
        self,
        root: str | None = None,
        expressions: str = "basic7",
        fold: int = 0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.source = root or "synthetic"
        self.class_names, self.fold = NAMES[expressions], fold
        self.manifest_hash = f"{seed}{seed}"
        self.train_subjects, self.test_subjects = ["S1"], ["S3"]
        generator = torch.Generator().manual_seed(seed)
        self.samples = TensorDataset(
            torch.randn(18, 4, generator=generator), self.labels(), torch.arange(18)
        )

    def labels(self) -> Tensor:
        return torch.arange(18) % 3

    def sample_name(self, sample_id: int) -> str:
        return f"S{1 + sample_id // 6}/{sample_id}"

    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(Subset(self.samples, range(6)), batch_size=3)

    def test_dataloader(self) -> DataLoader[Any]:
        return DataLoader(Subset(self.samples, range(12, 18)), batch_size=6)


class TinyFaces(TinySet):
    """Without labels."""

    labelled = False

    def labels(self) -> Tensor:
        return torch.full((18,), -1)


class RaFDDataModule(TinySet):
    """Named as the paper's data set is.

    Args:
        angles: Anything.
        kwargs: See `TinySet`.
    """

    def __init__(self, angles: tuple[int, ...] = (90,), **kwargs: Any) -> None:
        super().__init__(**kwargs)
