from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch import Trainer

from lightning_modules.emotion_gan import EMotionGAN
from tests.lightning_modules.fakes import CLASS_NAMES, SIZE, FakeDataModule


@pytest.fixture
def datamodule() -> FakeDataModule:
    return FakeDataModule()


@pytest.fixture
def model() -> Callable[..., EMotionGAN]:
    """Build an EMotionGAN that takes milliseconds a step."""

    def build(**options: Any) -> EMotionGAN:
        defaults = {"num_classes": len(CLASS_NAMES), "size": SIZE, "width": 2, "e_fer_epochs": 1}
        return EMotionGAN(**{**defaults, **options})

    return build


@pytest.fixture
def trainer() -> Callable[..., Trainer]:
    def build(**options: Any) -> Trainer:
        defaults: dict[str, Any] = {
            "accelerator": "cpu",
            "devices": 1,
            "max_epochs": 1,
            "logger": False,
            "enable_checkpointing": False,
            "enable_progress_bar": False,
            "enable_model_summary": False,
            "log_every_n_steps": 1,
            "num_sanity_val_steps": 0,
        }
        return Trainer(**{**defaults, **options})

    return build


@pytest.fixture
def runner(trainer: Callable[..., Trainer], tmp_path: Path) -> Callable[..., Trainer]:
    """Build a trainer that writes into a folder of the test's own."""

    def build(**options: Any) -> Trainer:
        return trainer(**{"default_root_dir": tmp_path, **options})

    return build
