"""Batches from memory for the methods' tests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningDataModule, LightningModule, Trainer
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, Subset

from lightning_modules.optim import descend

SIZE = 32
CLASS_NAMES = ("neutral", "happiness", "surprise")


class Outputs(Callback):
    """Keeps what steps of test and predict return."""

    def __init__(self) -> None:
        self.batches: list[dict[str, Any]] = []

    def on_test_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, *_: Any
    ) -> None:
        self.batches.append(outputs)

    def on_predict_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, *_: Any
    ) -> None:
        self.batches.append(outputs)

    def whole(self, name: str) -> Tensor:
        return torch.cat([batch[name] for batch in self.batches])


class FakeFlows(Dataset[dict[str, Tensor]]):
    """Smooth frontal flows that tell their class, and the same under a drift of the head."""

    def __init__(self, length: int, *, registered: bool = False) -> None:
        generator = torch.Generator().manual_seed(0)
        axis = torch.linspace(-1, 1, SIZE)
        y, x = torch.meshgrid(axis, axis, indexing="ij")
        self.samples = []
        for index in range(length):
            label = index % len(CLASS_NAMES)
            bump = torch.exp(-8 * ((y - 0.4 * label) ** 2 + x**2))
            flow = 3 * torch.stack((label * bump, (1 - label) * bump))
            drift = torch.randn(2, 1, 1, generator=generator)
            neutral = torch.rand(3, SIZE, SIZE, generator=generator)
            sample = {
                "flow": flow,
                "posed_flow": flow + drift,
                "neutral": neutral,
                "apex": 0.7 * neutral + 0.3 * bump,
                "is_neutral_apex": torch.tensor(True),
                "label": torch.tensor(label),
                "subject": torch.tensor(index),
                "sample_id": torch.tensor(index),
            }
            if registered:
                sample["registered_flow"] = flow + 0.5 * drift
                sample["feature_registered_flow"] = flow + 0.25 * drift
                sample["posed_apex"] = sample["apex"].flip(-1)
                # Frames of another method, which is perfect.
                sample["rival_flow_other"] = flow
                sample["rival_apex_other"] = sample["apex"]
                sample["subsets"] = torch.tensor([index == 0, index > 0])
            self.samples.append(sample)

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return self.samples[index]


class FakeDataModule(LightningDataModule):
    """What EMotionGAN asks of a data module."""

    class_names = CLASS_NAMES
    subset_names = ("yaw", "roll")
    rivals = ("other",)

    def __init__(self, length: int = 4, batch_size: int = 2, *, registered: bool = True) -> None:
        super().__init__()
        self.length = length
        self.batch_size = batch_size
        self.registered = registered
        self.asked_for_faces = 0

    def _loader(self, *, registered: bool = False) -> DataLoader[dict[str, Tensor]]:
        flows: Any = FakeFlows(self.length, registered=registered)
        if self.trainer is not None and self.trainer.world_size > 1:
            # Neither padded nor repeated, as in the project's own samplers.
            rank, world = self.trainer.global_rank, self.trainer.world_size
            flows = Subset(flows, range(rank, self.length, world))
        return DataLoader(flows, self.batch_size)

    def train_dataloader(self) -> DataLoader[dict[str, Tensor]]:
        return self._loader()

    def val_dataloader(self) -> DataLoader[dict[str, Tensor]]:
        return self._loader()

    def test_dataloader(self) -> DataLoader[dict[str, Tensor]]:
        return self._loader(registered=self.registered)

    def frontal_faces(self, epoch: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        self.asked_for_faces += 1
        for batch in DataLoader(FakeFlows(self.length), self.batch_size):
            yield batch["apex"], batch["label"]

    def frontal_flows(self, epoch: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        for batch in DataLoader(FakeFlows(self.length), self.batch_size):
            yield batch["flow"], batch["label"]

    def average_face(self) -> Tensor:
        return fake_batch(self.length)["neutral"].mean(0)

    def flow_pairs(self) -> tuple[Tensor, Tensor, Tensor]:
        batch = fake_batch(self.length)
        return batch["flow"], batch["posed_flow"], batch["subject"]


class Rates(Callback):
    """Keeps the learning rates of all optimizers after each step."""

    def __init__(self) -> None:
        self.rates: list[list[float]] = []

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        self.rates.append([optimizer.param_groups[0]["lr"] for optimizer in trainer.optimizers])


class SeededSteps(Callback):
    """Dropout becomes a function of the step, as the project's own callback makes it."""

    def on_train_batch_start(self, trainer: Trainer, *_: Any) -> None:
        torch.manual_seed(trainer.global_step)


def weights(module: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def touched_players(monkeypatch: pytest.MonkeyPatch, method: str) -> list[set[str]]:
    """Note which children of a method got a gradient whenever one of its players descends."""
    notes: list[set[str]] = []

    def noting(module: LightningModule, *optimizer_and_loss: Any) -> None:
        module.zero_grad()
        descend(module, *optimizer_and_loss)
        notes.append(
            {
                name.split(".")[0]
                for name, parameter in module.named_parameters()
                if parameter.grad is not None and parameter.grad.any()
            }
        )

    monkeypatch.setattr(f"lightning_modules.{method}.descend", noting)
    return notes


def fake_batch(length: int = 3, *, registered: bool = False) -> dict[str, Any]:
    return next(iter(DataLoader(FakeFlows(length, registered=registered), length)))
