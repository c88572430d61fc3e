from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import torch

from callbacks.training.step_seed import StepSeed


def draws(seed: int = 0, rank: int = 0, epoch: int = 0, batch: int = 0) -> tuple[float, ...]:
    trainer = cast(Any, SimpleNamespace(global_rank=rank, current_epoch=epoch))
    module = cast(Any, SimpleNamespace(device=torch.device("cpu")))
    StepSeed(seed).on_train_batch_start(trainer, module, None, batch)
    return float(torch.rand(())), float(np.random.rand()), random.random()  # noqa: NPY002


def test_every_generator_is_a_function_of_seed_rank_epoch_and_batch() -> None:
    first = draws()
    torch.rand(7), np.random.rand(7), random.random()  # noqa: NPY002
    assert draws() == first
    others = [draws(seed=1), draws(rank=1), draws(epoch=1), draws(batch=1), draws(epoch=1, batch=1)]
    for i, generator in enumerate(zip(first, *others, strict=True)):
        assert len(set(generator)) == 6, i


def test_torch_draws_as_after_its_own_seed() -> None:
    drawn = draws(seed=3, epoch=2, batch=5)[0]
    words = np.random.SeedSequence((3, 0, 2, 5)).generate_state(1, np.uint32)
    torch.manual_seed(int(words[0]))
    assert drawn == float(torch.rand(()))
