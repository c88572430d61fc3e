"""Every method as small as it can be, with the data module that it learns from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lightning.pytorch import LightningDataModule, LightningModule

from datamodules.sets.ckplus import CKPlusDataModule
from datamodules.sets.ckplus_occluded import OccludedCKPlusDataModule
from datamodules.sets.snap2dfe import SNaP2DFeDataModule
from datamodules.stills.augmentation import Augmentation
from lightning_modules import judges
from lightning_modules.dcgan_svm import DCGANSVM
from lightning_modules.emotion_gan import EMotionGAN
from lightning_modules.flow_cnn import FlowCNNClassifier
from lightning_modules.pcnn import PCNN
from lightning_modules.resnet18 import ResNet18Classifier
from lightning_modules.ssim_vae import SSIMVAE
from tests.datamodules.fake_faces import FakeFaces, write_faces
from tests.datamodules.trees import ckplus_tree, snap_tree

Pair = tuple[LightningModule, LightningDataModule]

CLASSES = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear")


def write_data(folder: Path) -> Path:
    """Write the frames and faces that the methods learn from; return the folder."""
    snap_tree(folder / "snap", subjects=4, codes=(0, 1, 2))
    ckplus_tree(folder / "ckplus", subjects=4, codes=(1, 3, 5))
    write_faces(folder / "faces", {"train": 2, "val": 1, "test": 1}, classes=CLASSES)
    return folder


def _snap(folder: Path, **options: Any) -> SNaP2DFeDataModule:
    root, cache = str(folder / "snap"), str(folder / "cache")
    common = {"size": 32, "crop": "none", "batch_size": 9, "mirror": 0.5, "exchange": 0.5}
    return SNaP2DFeDataModule(root=root, cache_dir=cache, **{**common, **options})


def _ckplus(folder: Path, kind: Any = CKPlusDataModule, **options: Any) -> Any:
    root, cache = str(folder / "ckplus"), str(folder / "cache")
    common = {"size": 32, "crop": "none", "batch_size": 4}
    return kind(root=root, cache_dir=cache, **{**common, **options})


def face_data(folder: Path, **options: Any) -> FakeFaces:
    data = FakeFaces(
        root=str(folder / "faces"),
        cache_dir=str(folder / "cache"),
        batch_size=7,
        augmentation=Augmentation(crop_p=0.5, rotation_p=0.5),
        **options,
    )
    votes = np.random.default_rng(0).dirichlet(np.ones(8), 4 * len(CLASSES)).astype(np.float32)
    data.more = {"votes": votes}
    return data


def paper_gan(folder: Path) -> Pair:
    return EMotionGAN(size=32, width=2, e_fer_epochs=1, connection_epoch=0), _snap(folder)


def prior_gan(folder: Path) -> Pair:
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
    return module, _snap(folder, strategies=("frame_to_frame",), on_device=True)


def vae(folder: Path) -> Pair:
    module = SSIMVAE(size=32, latent=4, width=2, classifier_on="both", relative_cost=True)
    return module, _ckplus(folder, OccludedCKPlusDataModule, mirror=0.5, on_device=True)


def flow_cnn(folder: Path) -> Pair:
    return FlowCNNClassifier(size=32), _ckplus(folder, on_device=True)


def pcnn(folder: Path) -> Pair:
    module = PCNN(
        size=48, width=16, labels="votes", logit_adjustment=0.5, share_norms=False, warp_limit=0.3
    )
    return module, face_data(folder, size=48, class_balance="loss", on_device=True)


def resnet(folder: Path) -> Pair:
    return ResNet18Classifier(size=48, width=4), face_data(folder, size=48, class_balance="sampler")


def gan_of_faces(folder: Path) -> Pair:
    module = DCGANSVM(size=16, width=2, latent=4)
    # After its last step it reads whether its machines are fitted, and fits them.
    module.on_train_batch_start = lambda *_: None  # type: ignore[method-assign]
    return module, face_data(folder, on_device=True)


METHODS: list[Callable[[Path], Pair]] = [
    paper_gan,
    prior_gan,
    vae,
    flow_cnn,
    pcnn,
    resnet,
    gan_of_faces,
]


def judge_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spare the judges of eMotion-GAN, fitted before the first step, all but one step."""
    for number in ("_EPOCHS", "_STEPS"):
        monkeypatch.setattr(judges, number, 1)
