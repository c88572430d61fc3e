"""Training by `lightning fit`: against bare PyTorch loops, and how long it waits for data."""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from collections.abc import Sequence
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

import lightning.pytorch as pl
from lightning.pytorch.profilers import Profiler

from benchmarks.bare import bare_loop
from benchmarks.measuring import (
    Clock,
    Result,
    Seconds,
    median_ratio,
    milliseconds,
    ratio_interval,
    timed,
)
from experiments.cli import main

LAPTOP = (
    "--config=experiments/emotion_gan.yaml",
    "--config=experiments/presets/laptop.yaml",
    "--model.e_fer_epochs=1",  # before the steps that are measured
)
EXPERIMENTS = {"eMotion-GAN": LAPTOP} | {
    method: (f"--config=experiments/{name}.yaml", *preset)
    for method, name, preset in (
        ("DCGAN", "dcgan_svm", ["--config=experiments/presets/dcgan_laptop.yaml"]),
        ("PCNN", "pcnn", ["--config=experiments/presets/pcnn_laptop.yaml"]),
        ("SSIM-VAE", "ssim_vae", ["--config=experiments/presets/ssim_vae_laptop.yaml"]),
        ("Flow-CNN", "flow_cnn", []),
    )
}
"""Arguments of `fit` for each method, on two cores."""


def measure_step(
    method: str = "eMotion-GAN", *, quick: bool = False, experiment: Sequence[str] = ()
) -> Result:
    """Take turns between blocks of steps of `fit` and blocks of steps of a bare loop.

    Both run in one process on copies of one model, so that what else the machine does meets both.
    A block is as long as the laptop preset logs apart, so that logging is part of each.

    Args:
        method: One of `EXPERIMENTS`.
        quick: Whether two short turns are enough.
        experiment: Other arguments of `fit` than those of the method.
    """
    steps, turns = (2, 2) if quick else (10, 7)
    TakingTurns.steps, TakingTurns.turns = steps, turns
    callback = f"--trainer.callbacks+={TakingTurns.__module__}.{TakingTurns.__name__}"
    _fit(steps * (turns + 1), callback, experiment=experiment or EXPERIMENTS[method])
    fitted, bare = ([one.wall for one in ones] for ones in (TakingTurns.fitted, TakingTurns.bare))
    return {
        "what": f"step of fit of {method} / step of a bare PyTorch loop",
        "ratio": median_ratio(fitted, bare),
        "bound": "at most 1.05",
        "details": {
            "interval": ratio_interval(fitted, bare),
            "fit_ms": milliseconds(TakingTurns.fitted, parts=steps),
            "bare_ms": milliseconds(TakingTurns.bare, parts=steps),
            "processor_time_ratio": median_ratio(
                [one.processor for one in TakingTurns.fitted],
                [one.processor for one in TakingTurns.bare],
            ),
            "steps_a_turn": steps,
        },
    }


def measure_waiting(*, quick: bool = False, experiment: Sequence[str] = LAPTOP) -> Result:
    """Time how long each step of `fit` waits for its batch and for it to be on the device."""
    profiler = f"--trainer.profiler={Waiting.__module__}.{Waiting.__name__}"
    _fit(6 if quick else 100, profiler, experiment=experiment)
    ends = [end for _, end in Waiting.spans[_STEP]][_WARM_UP:]
    waits, moves = (
        # Those of the steps whose time is counted: from the end of one to the end of the next.
        [end - begin for begin, end in Waiting.spans[name] if ends[0] <= begin <= ends[-1]]
        for name in (_NEXT, _MOVE)
    )
    steps = len(ends) - 1
    return {
        "what": "time waiting for data / time of a step",
        "ratio": (sum(waits) + sum(moves)) / (ends[-1] - ends[0]),
        "bound": "below 0.05",
        "details": {
            "next_batch_ms": round(1000 * statistics.median(waits), 3),
            "to_device_and_float_ms": round(1000 * statistics.median(moves), 3),
            "step_ms": round(1000 * (ends[-1] - ends[0]) / steps, 2),
            "steps": steps,
        },
    }


def _fit(steps: int, *arguments: str, experiment: Sequence[str]) -> None:
    """Run `lightning fit` for some steps, in a run folder that is thrown away."""
    with TemporaryDirectory() as runs:
        main(
            [
                "fit",
                *experiment,
                f"--runs_dir={runs}",
                f"--trainer.max_steps={steps}",
                "--trainer.limit_val_batches=0",
                "--trainer.num_sanity_val_steps=0",
                *arguments,
            ]
        )


_NEXT = "[_TrainingEpochLoop].train_dataloader_next"
_MOVE = ".batch_to_device"
_STEP = "run_training_batch"
_WARM_UP = 2


class Waiting(Profiler):
    """Notes begin and end of what a step waits for, and of the step itself.

    Attributes:
        spans: Begin and end in seconds of every time that an action ran, in the latest run.
    """

    spans: ClassVar[dict[str, list[tuple[float, float]]]] = defaultdict(list)

    def __init__(self) -> None:
        super().__init__()
        self.spans.clear()
        self._began: dict[str, float] = {}

    def start(self, action_name: str) -> None:
        """Begin an action."""
        self._began[action_name] = time.perf_counter()

    def stop(self, action_name: str) -> None:
        """End an action."""
        name = _MOVE if action_name.endswith(_MOVE) else action_name
        if name in (_NEXT, _MOVE, _STEP):
            self.spans[name].append((self._began[action_name], time.perf_counter()))


class TakingTurns(pl.Callback):
    """Times blocks of training steps and, between them, blocks of the bare loop.

    The first block of each warms up and does not count.

    Attributes:
        steps: Steps of a block.
        turns: Blocks of each, after which the training ends.
        fitted: Time of each block of `fit` in the latest run.
        bare: Time of each block of the bare loop.
    """

    steps: ClassVar[int] = 1
    turns: ClassVar[int] = 1
    fitted: ClassVar[list[Seconds]] = []
    bare: ClassVar[list[Seconds]] = []

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Prepare the bare loop."""
        self.fitted.clear()
        self.bare.clear()
        self._loop = bare_loop(pl_module)
        self._loop.read(trainer.datamodule)  # type: ignore[attr-defined]
        self._warm = False
        self._clock = Clock()

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """Let the bare loop have its turn after every block."""
        if trainer.global_step % self.steps:
            return
        fitted, bare = self._clock.read(), timed(self._loop.run, self.steps)
        if self._warm:
            self.fitted.append(fitted)
            self.bare.append(bare)
        # Not by max_steps, after which DCGAN + SVM fits its machines.
        trainer.should_stop = len(self.bare) == self.turns
        self._warm = True
        self._clock = Clock()
