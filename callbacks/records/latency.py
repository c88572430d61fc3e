"""How long a method takes to answer one sample, measured after its test."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

import lightning.pytorch as pl
import torch

from callbacks.records.costs import LATENCY_FILE
from callbacks.records.size import example_of
from datamodules.store.replacing import write_json

_WARM_UP, _LEAST, _MOST = 3, 5, 15  # answers
_BUDGET = 1.0  # seconds, after which no more are timed than the least


class Latency(pl.Callback):
    """Writes ``latency.json``: milliseconds from the tensors of one sample to its answer.

    That is the method's ``forward`` on its ``example_input_array``, a batch of one, on the device
    of the test: median and quartiles on the wall, beside whatever else the machine does. Reading a
    picture, finding the face and estimating its flow take no part. A method without an example is
    left alone.
    """

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Measure and write."""
        inputs = example_of(pl_module)
        if not trainer.is_global_zero or inputs is None:
            return
        device = pl_module.device
        times: list[float] = []
        with torch.inference_mode(), trainer.precision_plugin.forward_context():
            while len(times) < _MOST + _WARM_UP:
                if len(times) >= _LEAST + _WARM_UP and sum(times) > 1000 * _BUDGET:
                    break
                began = time.perf_counter()
                pl_module(*inputs)
                if device.type == "cuda":
                    torch.cuda.synchronize(device)
                times.append(1000 * (time.perf_counter() - began))
        low, median, high = statistics.quantiles(times[_WARM_UP:], n=4)
        measured = {"median_ms": median, "low_ms": low, "high_ms": high}
        write_json(
            Path(trainer.default_root_dir) / LATENCY_FILE,
            {
                **{name: round(value, 4) for name, value in measured.items()},
                "samples": 1,
                "repeats": len(times) - _WARM_UP,
                "device": torch.cuda.get_device_name(device)
                if device.type == "cuda"
                else device.type,
                "threads": torch.get_num_threads(),
            },
        )
