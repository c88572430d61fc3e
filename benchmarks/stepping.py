"""One method's training steps on a device: their time, work and memory, and their losses."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.bare import BareLoop, bare_loop
from benchmarks.generated import GeneratedData, Setting
from benchmarks.measuring import median_interval, median_ratio
from callbacks.training.acceleration import Acceleration
from callbacks.training.nan_guard import NaNGuard
from callbacks.training.step_seed import StepSeed
from callbacks.training.zero_rate import ZeroRate
from experiments.run.loggers import MetricsCSV


class Variant(NamedTuple):
    """How a method is trained.

    Attributes:
        name: Its name in the table.
        precision: ``trainer.precision``.
        channels_last: ``acceleration.channels_last``.
        compile: ``acceleration.compile``.
        graphs: ``acceleration.graphs``.
        fused: ``acceleration.fused``.
    """

    name: str
    precision: Any
    channels_last: bool | None = None
    compile: bool = False
    graphs: bool = False
    fused: bool = False


class Pace(NamedTuple):
    """How long blocks of steps are timed.

    Attributes:
        seconds: What a block should take.
        blocks: How many are timed.
        warm_up: Steps before the first.
    """

    seconds: float = 0.1
    blocks: int = 9
    warm_up: int = 6


class Times(NamedTuple):
    """Seconds of a step, a number for each block.

    Attributes:
        fit: In `fit`.
        bare: In the bare loop, whose blocks came between; empty without one.
        first: Seconds until all steps of the warm-up were done.
        peak_gb: Most memory that the process held on the device in the blocks, in GB; what graphs
            write to is held, and nobody's while they do not run.
    """

    fit: list[float]
    bare: list[float]
    first: float
    peak_gb: float


def time_steps(
    setting: Setting, variant: Variant, device: torch.device, pace: Pace, *, bare: bool = False
) -> Times:
    """Time training steps of a method in `fit`, with the callbacks that every run has.

    Args:
        setting: The method and its sizes.
        variant: Precision, layout and compilation.
        device: Where it is trained.
        pace: How long.
        bare: Whether blocks of a bare loop over a copy of the same networks come between.
    """
    blocks = Blocks(pace, variant.precision, bare=bare)
    acceleration = Acceleration(*variant[2:])
    with TemporaryDirectory() as folder:
        # The logger that is always there, at Lightning's own interval.
        trainer = _trainer(
            device,
            [StepSeed(0), ZeroRate(), NaNGuard(), acceleration, blocks],
            precision=variant.precision,
            logger=MetricsCSV(Path(folder)),
        )
        trainer.fit(setting.build(), GeneratedData(setting, device))
    return Times(blocks.fitted, blocks.bare, blocks.first, blocks.peak_gb)


class Blocks(Callback):
    """Times blocks of training steps after a warm-up, then ends the training.

    Args:
        pace: How long.
        precision: Of the trainer, for the bare loop.
        bare: Whether a bare loop has turns between the blocks.
    """

    def __init__(self, pace: Pace, precision: str, *, bare: bool) -> None:
        self._pace, self._precision, self._with_bare = pace, precision, bare
        self.fitted: list[float] = []
        self.bare: list[float] = []
        self.first = self.peak_gb = 0.0
        self._loop: BareLoop | None = None
        self._length = 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Make the bare loop and start the clock."""
        self._device = pl_module.device
        if self._with_bare:
            self._loop = bare_loop(pl_module)
            self._loop.read(trainer.datamodule)  # type: ignore[attr-defined]
            self._run_bare(self._pace.warm_up)
        self._step, self._began = 0, self._now()

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """Read the clock where a block ends."""
        self._step += 1
        # Twice the warm-up: the second tells how long a block has to be.
        if self._step < (self._length or self._pace.warm_up):
            return
        seconds = self._now() - self._began
        if not self.first:
            self.first = seconds
        elif not self._length:
            self._length = max(1, round(self._pace.seconds * self._step / seconds))
            if self._device.type == "cuda":
                torch.cuda.reset_peak_memory_stats(self._device)
        else:
            self.fitted.append(seconds / self._step)
            if self._loop is not None:
                began = self._now()
                self._run_bare(self._length)
                self.bare.append((self._now() - began) / self._length)
            if len(self.fitted) == self._pace.blocks:
                if self._device.type == "cuda":
                    self.peak_gb = torch.cuda.max_memory_reserved(self._device) / 1e9
                trainer.should_stop = True
        self._step, self._began = 0, self._now()

    def _run_bare(self, steps: int) -> None:
        assert self._loop is not None  # for mypy: it was made
        with autocast(self._device, self._precision):
            self._loop.run(steps)

    def _now(self) -> float:
        """Return the time once the device has done all that it was told to."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return time.perf_counter()


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """Return what the trainer's precision does around a step."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16-mixed")


def count_flops(setting: Setting, device: torch.device) -> int:
    """Count the floating-point operations of a step's products and convolutions, both passes."""
    loop = bare_loop(setting.build().to(device))
    loop.read(GeneratedData(setting, device, count=1))
    with FlopCounterMode(display=False) as counter:
        loop.run(1)
    return int(counter.get_total_flops())


def measure_peak(device: torch.device, side: int) -> float:
    """Measure the operations a second of a bfloat16 product of two square matrices of noise."""
    one, other = (torch.randn(side, side, device=device, dtype=torch.bfloat16) for _ in range(2))
    times = []
    for _ in range(20):
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        began = time.perf_counter()
        for _ in range(5):
            one @ other
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append((time.perf_counter() - began) / 5)
    return 2 * side**3 / statistics.median(times[2:])


def losses_of_steps(
    setting: Setting,
    device: torch.device,
    steps: int,
    *,
    graphs: bool = False,
    drawn_on_cpu: bool = True,
) -> list[dict[str, float]]:
    """Train in float32 by deterministic algorithms; return the losses of each step.

    No unit is dropped, so that all devices compute the same.

    Args:
        setting: The method and its sizes.
        device: Where it is trained.
        steps: How many steps.
        graphs: ``acceleration.graphs``.
        drawn_on_cpu: Whether noise is drawn on the CPU whatever the device.
    """
    module = setting.build()
    for layer in module.modules():
        if isinstance(layer, nn.Dropout):
            layer.p = 0.0
    record = Losses(steps)
    tf32 = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        with DrawnOnCPU() if drawn_on_cpu else nullcontext():
            trainer = _trainer(
                device,
                [StepSeed(0), Acceleration(graphs=graphs), record],
                deterministic="warn",
                precision="32-true",
                logger=False,
            )
            trainer.fit(module, GeneratedData(setting, device))
    finally:
        torch.backends.cudnn.allow_tf32 = tf32
        torch.use_deterministic_algorithms(False)
    return record.steps


class Losses(Callback):
    """Keeps the losses that each training step returns, and ends the training.

    Args:
        count: After how many steps.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self.steps: list[dict[str, float]] = []

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, *_: Any
    ) -> None:
        """Keep the values of this step."""
        self.steps.append({key: float(value) for key, value in outputs.items() if key != "loss"})
        # Not by max_steps, after which DCGAN + SVM fits its machines.
        trainer.should_stop = len(self.steps) == self._count


class DrawnOnCPU(TorchFunctionMode):
    """Within it noise comes from the generator of the CPU, so that devices see the same."""

    _DRAWS = (torch.randn, torch.randn_like, torch.rand, torch.rand_like, torch.randint_like)

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        """Draw on the CPU and bring it to where it was asked for."""
        kwargs = dict(kwargs or {})
        if func not in self._DRAWS:
            return func(*args, **kwargs)
        device = kwargs.pop("device", None)
        if isinstance(args[0], Tensor):
            device, args = args[0].device, (args[0].cpu(), *args[1:])
        drawn = func(*args, **kwargs)
        return drawn if device is None else drawn.to(device)


def largest_deviation(
    ones: Sequence[dict[str, float]], others: Sequence[dict[str, float]]
) -> list[float]:
    """Return for each step how far any loss is from the other device's, relative to its size.

    The size is at least a hundredth of the largest that the loss had, since some fall to 0.
    """
    largest = {key: max(abs(step[key]) for step in ones) for key in ones[0]}
    return [
        max(
            abs(one[key] - other[key]) / max(abs(one[key]), 0.01 * largest[key], 1e-12)
            for key in one
        )
        for one, other in zip(ones, others, strict=True)
    ]


def ratio_of(times: Times) -> dict[str, Any]:
    """Return the ratio of `fit` to the bare loop with its interval."""
    ratios = [fit / bare for fit, bare in zip(times.fit, times.bare, strict=True)]
    low, high = median_interval(ratios)
    ratio = median_ratio(times.fit, times.bare)
    return {"ratio": round(ratio, 4), "interval": [round(low, 4), round(high, 4)]}


def _trainer(device: torch.device, callbacks: list[Callback], **arguments: Any) -> pl.Trainer:
    return pl.Trainer(
        accelerator="gpu" if device.type == "cuda" else "cpu",
        devices=1,
        callbacks=callbacks,
        max_epochs=1,  # GeneratedData's has no end
        **arguments,
        limit_val_batches=0,
        num_sanity_val_steps=0,
        enable_progress_bar=False,
        enable_checkpointing=False,
        enable_model_summary=False,
    )
