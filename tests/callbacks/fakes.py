"""A module and a data module that keep the contract of outputs and batches, and do nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader

NAMES = ("neutral", "happiness", "surprise")
SIZE = 16


def sample(number: int) -> dict[str, Any]:
    """Make one sample; its motion is `number` tenths of a pixel to the right."""
    flow = torch.zeros(2, SIZE, SIZE)
    flow[0] = number / 10
    face = torch.full((3, SIZE, SIZE), 0.5)
    return {
        "flow": flow,
        "posed_flow": flow + 1,
        "neutral": face,
        "apex": face,
        "label": torch.tensor(number % len(NAMES)),
        "subject": torch.tensor(number // 4),
        "sample_id": torch.tensor(number),
        "frame": torch.tensor(number + 1),
    }


def batch_of(numbers: list[int]) -> dict[str, Any]:
    samples = [sample(number) for number in numbers]
    batch = {key: torch.stack([one[key] for one in samples]) for key in samples[0]}
    return {
        **batch,
        "sequence": [f"clip_{number // 4}" for number in numbers],
        "seconds": [number / 10 for number in numbers],
        "track": [1] * len(numbers),
        "box": torch.tensor([[1, 2, 30, 30]] * len(numbers)),
    }


def outputs_of(batch: dict[str, Any]) -> dict[str, Any]:
    """What test_step returns: sure of the class that follows the label."""
    logits = torch.zeros(len(batch["label"]), len(NAMES))
    logits[torch.arange(len(logits)), (batch["label"] + 1) % len(NAMES)] = 2.0
    return {**batch, "logits": logits, "frontalized_flow": batch["flow"], "warped": batch["apex"]}


class FakeData(pl.LightningDataModule):
    class_names = NAMES
    source, trained_on = "synthetic", "drawn faces"
    seed, fold = 7, 2
    finds_faces_by, smoothing = "haar", 0.5
    input = Path("in")

    def __init__(self, numbers: list[int] | None = None) -> None:
        super().__init__()
        self.numbers = list(range(12)) if numbers is None else numbers

    def sample_name(self, sample_id: int) -> str:
        return f"S00{sample_id // 4}/{sample_id % 4:03d}"

    def _loader(self) -> DataLoader[Any]:
        """Twelve samples, dealt out as the numbers say."""
        return DataLoader(list(range(12)), batch_size=5, sampler=self.numbers, collate_fn=batch_of)  # type: ignore[arg-type]

    train_dataloader = val_dataloader = test_dataloader = predict_dataloader = _loader


class FakeModule(pl.LightningModule):
    """Logs `metrics` in test and returns the contract's outputs everywhere."""

    def __init__(self, metrics: dict[str, float] | None = None) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.metrics = metrics or {}

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        return self.weight**2

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> dict[str, Any]:
        return outputs_of(batch)

    def test_step(self, batch: dict[str, Any], batch_idx: int) -> dict[str, Any]:
        self.log_dict(self.metrics, batch_size=1)
        return outputs_of(batch)

    def predict_step(self, batch: dict[str, Any], batch_idx: int) -> dict[str, Any]:
        outputs = outputs_of(batch)
        for unknown in ("label", "flow", "apex"):
            del outputs[unknown]
        return outputs

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def trainer(folder: Path, *callbacks: pl.Callback, **options: Any) -> pl.Trainer:
    """Make a quiet trainer on the CPU whose run folder is `folder`."""
    quiet = {
        "accelerator": "cpu",
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    return pl.Trainer(default_root_dir=folder, callbacks=list(callbacks), **{**quiet, **options})


class FaceModule(pl.LightningModule):
    """Reads of a face of 16x16 which of its three channels is the brightest, and where."""

    def __init__(self) -> None:
        super().__init__()
        self.maps = torch.nn.Conv2d(3, 3, 1, bias=False)
        torch.nn.init.eye_(self.maps.weight.data[:, :, 0, 0])

    def forward(self, image: Tensor) -> Tensor:
        return 40 * self.maps(image).mean(dim=(2, 3))

    def test_step(self, batch: dict[str, Any], batch_idx: int) -> dict[str, Any]:
        features = batch["image"].flatten(1)[:, ::16]
        return {**batch, "logits": self(batch["image"]), "features": features}

    def predict_step(self, batch: dict[str, Any], batch_idx: int) -> dict[str, Any]:
        return {**batch, "logits": self(batch["image"])}


class FaceData(pl.LightningDataModule):
    """Thirty faces; every tenth is read wrongly. What is predicted on is given as batches."""

    class_names = NAMES
    source, trained_on = "synthetic", "drawn faces"
    seed, fold = 7, 0
    finds_faces_by, smoothing = "haar", 0.5
    test_subjects: tuple[str, ...] = ()

    def __init__(
        self, input: Path | None = None, batches: list[dict[str, Any]] | None = None
    ) -> None:
        super().__init__()
        self.input, self.batches = input, batches

    def sample_name(self, sample_id: int) -> str:
        return f"face_{sample_id}"

    def test_dataloader(self) -> DataLoader[Any]:
        return DataLoader(list(range(30)), batch_size=8, collate_fn=faces_of)  # type: ignore[arg-type]

    def predict_dataloader(self) -> DataLoader[Any]:
        return DataLoader(self.batches, batch_size=None)  # type: ignore[arg-type]


def faces_of(numbers: list[int]) -> dict[str, Any]:
    """Faces that light up in the channel of their class, each in a place of its own."""
    image = torch.full((len(numbers), 3, SIZE, SIZE), 0.3)
    label = torch.tensor(numbers) % len(NAMES)
    for row, number in enumerate(numbers):
        read = (number + (number % 10 == 9)) % len(NAMES)
        image[row, read, number % 8 : number % 8 + 6, 4:10] = 0.9
    return {"image": image, "label": label, "sample_id": torch.tensor(numbers)}
