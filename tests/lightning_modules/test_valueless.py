"""From the loader to the last optimizer, no training step waits for the device."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import LightningDataModule, LightningModule
from torch import Tensor

from callbacks.training.acceleration import Acceleration
from callbacks.training.nan_guard import NaNGuard
from callbacks.training.step_seed import StepSeed
from callbacks.training.weight_average import WeightAverage
from callbacks.training.zero_rate import ZeroRate
from datamodules.batch import FaceBatch
from datamodules.sets.ckplus import CKPlusDataModule
from datamodules.sets.ckplus_occluded import OccludedCKPlusDataModule
from datamodules.sets.snap2dfe import SNaP2DFeDataModule
from datamodules.stills.augmentation import Augmentation
from lightning_modules import emotion_gan
from lightning_modules.dcgan_svm import DCGANSVM
from lightning_modules.emotion_gan import EMotionGAN
from lightning_modules.flow_cnn import FlowCNNClassifier
from lightning_modules.pcnn import PCNN
from lightning_modules.resnet18 import ResNet18Classifier
from lightning_modules.ssim_vae import SSIMVAE
from tests.datamodules.fake_faces import FakeFaces, write_faces
from tests.datamodules.runs import trainer
from tests.datamodules.trees import ckplus_tree, snap_tree
from tests.lightning_modules.valueless import (
    META,
    EndOfEpochError,
    OnValuelessDevice,
    WaitingError,
    no_waiting,
    without_values,
)

CLASSES = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    snap_tree(folder / "snap", subjects=4, codes=(0, 1, 2))
    ckplus_tree(folder / "ckplus", subjects=4, codes=(1, 3, 5))
    write_faces(folder / "faces", {"train": 2, "val": 1, "test": 1}, classes=CLASSES)
    return folder


def snap(folder: Path, **options: Any) -> SNaP2DFeDataModule:
    root, cache = str(folder / "snap"), str(folder / "cache")
    common = {"size": 32, "crop": "none", "batch_size": 9, "mirror": 0.5, "exchange": 0.5}
    return SNaP2DFeDataModule(root=root, cache_dir=cache, **{**common, **options})


def ckplus(folder: Path, kind: Any = CKPlusDataModule, **options: Any) -> Any:
    root, cache = str(folder / "ckplus"), str(folder / "cache")
    common = {"size": 32, "crop": "none", "batch_size": 4}
    return kind(root=root, cache_dir=cache, **{**common, **options})


def faces(folder: Path, **options: Any) -> FakeFaces:
    data = FakeFaces(
        root=str(folder / "faces"),
        cache_dir=str(folder / "cache"),
        batch_size=7,
        augmentation=Augmentation(crop_p=0.5, rotation_p=0.5),
        **options,
    )
    votes = np.random.default_rng(0).dirichlet(np.ones(8), 4 * len(CLASSES)).astype(np.float32)
    data.extra = {"votes": votes}
    return data


def paper_gan(folder: Path) -> tuple[LightningModule, LightningDataModule]:
    return EMotionGAN(size=32, width=2, e_fer_epochs=1, connection_epoch=0), snap(folder)


def prior_gan(folder: Path) -> tuple[LightningModule, LightningDataModule]:
    module = EMotionGAN(
        size=32,
        width=2,
        e_fer_epochs=1,
        connection_epoch=0,
        representation="cartesian",
        flow_prior="filter",
        image_prior="warp",
        animate="both",
        conditional_discriminator=True,
    )
    return module, snap(folder, strategies=("frame_to_frame",), on_device=True)


def vae(folder: Path) -> tuple[LightningModule, LightningDataModule]:
    module = SSIMVAE(size=32, latent=4, width=2, classifier_on="both", relative_cost=True)
    return module, ckplus(folder, OccludedCKPlusDataModule, mirror=0.5, on_device=True)


def flow_cnn(folder: Path) -> tuple[LightningModule, LightningDataModule]:
    return FlowCNNClassifier(size=32), ckplus(folder, on_device=True)


def pcnn(folder: Path) -> tuple[LightningModule, LightningDataModule]:
    module = PCNN(
        size=48, width=16, labels="votes", logit_adjustment=0.5, share_norms=False, warp_limit=0.3
    )
    return module, faces(folder, size=48, class_balance="loss", on_device=True)


def resnet(folder: Path) -> tuple[LightningModule, LightningDataModule]:
    return ResNet18Classifier(size=48, width=4), faces(folder, size=48, class_balance="sampler")


def gan_of_faces(folder: Path) -> tuple[LightningModule, LightningDataModule]:
    module = DCGANSVM(size=16, width=2, latent=4)
    # Once an epoch it reads whether its machines are fitted.
    module.on_train_epoch_start = lambda: None  # type: ignore[method-assign]
    return module, faces(folder, on_device=True)


@pytest.mark.parametrize(
    "method", [paper_gan, prior_gan, vae, flow_cnn, pcnn, resnet, gan_of_faces]
)
def test_no_training_step_waits(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    method: Callable[[Path], tuple[LightningModule, LightningDataModule]],
) -> None:
    for number in ("_JUDGE_EPOCHS", "_JUDGE_STEPS"):  # fitted before the first step
        monkeypatch.setattr(emotion_gan, number, 1)
    module, data = method(folder)
    device = OnValuelessDevice()
    callbacks = [StepSeed(0), NaNGuard(), ZeroRate(), Acceleration(channels_last=True)]
    if module.automatic_optimization:
        callbacks.append(WeightAverage())
    runner = trainer(tmp_path, callbacks=[*callbacks, device], limit_val_batches=0)
    with without_values(monkeypatch), pytest.raises(EndOfEpochError):
        runner.fit(module, datamodule=data)
    assert device.steps == runner.num_training_batches > 1
    assert {value.device for value in runner.callback_metrics.values()} == {META}


def test_a_step_that_reads_its_loss_waits(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Reading(ResNet18Classifier):
        def training_step(self, batch: FaceBatch, batch_idx: int) -> Tensor:
            loss = super().training_step(batch, batch_idx)
            return loss if loss > 0 else -loss

    runner = trainer(tmp_path, callbacks=[OnValuelessDevice()], limit_val_batches=0)
    with without_values(monkeypatch), pytest.raises(RuntimeError, match="item"):
        runner.fit(Reading(size=48, width=4), datamodule=faces(folder, size=48))


@pytest.mark.parametrize(
    "reads",
    [
        lambda value: value.sum().item(),
        lambda value: bool(value.any()),
        lambda value: int(value.argmax()),
        lambda value: value.tolist(),
        lambda value: value.cpu(),
        lambda value: value.to("cpu", non_blocking=True),
        lambda value: value.numpy(),
        lambda value: value.nonzero(),
        lambda value: value[value > 0],
        lambda value: value.masked_select(value > 0),
        lambda value: torch.equal(value, value),
        lambda value: value.unique(),
        lambda value: value[torch.tensor([True, False, True])],
        lambda value: value.repeat_interleave(torch.ones_like(value, dtype=torch.int64)),
        lambda value: value.new_tensor([1.0]),
        lambda value: torch.tensor([1.0], device=value.device),
        lambda value: torch.ones(3).to(value.device),
        lambda value: value.copy_(torch.ones(3)),
    ],
)
def test_what_waits_is_an_error(reads: Callable[[Tensor], Any]) -> None:
    value = torch.zeros(3, device=META)
    with no_waiting(), pytest.raises((WaitingError, RuntimeError, TypeError)):
        reads(value)


def test_what_does_not_wait_is_none() -> None:
    value = torch.zeros(3, device=META)
    with no_waiting():
        sent = torch.ones(3).to(META, non_blocking=True)
        value.copy_(torch.ones(3), non_blocking=True)
        chosen = value.index_select(0, torch.tensor([0, 2]).to(META, non_blocking=True))
        result = torch.where(value > 0, 2 * sent + torch.tensor(1.0), 1.0)
    assert (chosen.shape, result.device) == ((2,), META)
