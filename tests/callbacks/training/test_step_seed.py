from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import torch

from callbacks.training.step_seed import StepSeed


def draws(seed: int = 0, rank: int = 0, epoch: int = 0, batch: int = 0) -> tuple[float, ...]:
    trainer = cast(Any, SimpleNamespace(global_rank=rank, current_epoch=epoch))
    StepSeed(seed).on_train_batch_start(trainer, cast(Any, None), None, batch)
    return float(torch.rand(())), float(np.random.rand()), random.random()  # noqa: NPY002


def test_every_generator_is_a_function_of_seed_rank_epoch_and_batch() -> None:
    first = draws()
    torch.rand(7), np.random.rand(7), random.random()  # noqa: NPY002
    assert draws() == first
    others = [draws(seed=1), draws(rank=1), draws(epoch=1), draws(batch=1), draws(epoch=1, batch=1)]
    for i, generator in enumerate(zip(first, *others, strict=True)):
        assert len(set(generator)) == 6, i
