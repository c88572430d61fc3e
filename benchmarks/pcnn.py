"""PCNN against the plain reading of the same network, one module after the other."""

from __future__ import annotations

import copy
import statistics
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from benchmarks.plain_pcnn import pairs_in_groups, plain_pcnn
from benchmarks.report import Clock, Result
from lightning_modules.networks.pcnn import PCNNNetwork
from losses.classification import two_phase_loss

Network = Callable[[Tensor], tuple[Tensor, Tensor]]


def measure_forward(*, quick: bool = False) -> Result:
    """Time answers of PCNN and of the plain reading, in turns.

    Args:
        quick: Whether to take a narrow network and few turns.

    Returns:
        The ratio at 224 pixels; in the details the same at 64, and that of the plain reading with
        its pairs of equal regions in grouped convolutions.
    """
    return _measure("forward", "at most 0.8", quick=quick)


def measure_step(*, quick: bool = False) -> Result:
    """Time training steps without the optimizer, which is the same for both, in turns.

    Args:
        quick: Whether to take a narrow network and few turns.

    Returns:
        As :func:`measure_forward`. ``convolution_share`` is the part of the plain reading's time
        that convolutions take: no other arrangement of the same convolutions goes below it.
    """
    return _measure(
        "training step", "at most 0.8, or near convolution_share in the details", quick=quick
    )


def _measure(kind: str, bound: str, *, quick: bool) -> Result:
    details = {
        str(size): _turns(kind, size, batch, 2 if quick else 7, width=16 if quick else 64)
        for size, batch in ((64, 32), (224, 8))
    }
    return {
        "what": f"{kind} of PCNN / of its plain reading",
        "ratio": details["224"]["ratio"],
        "bound": bound,
        "details": details,
    }


def _turns(kind: str, size: int, batch: int, turns: int, *, width: int) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(batch, 3, size, size, generator=generator)
    label = torch.randint(7, (batch,), generator=generator)
    fast = PCNNNetwork(7, size, width=width)
    plain, grouped = (
        copy.deepcopy(fast).to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        for _ in range(2)
    )
    readings: dict[str, tuple[PCNNNetwork, Network]] = {
        "fast": (fast, lambda x: fast(x)[:2]),
        "plain": (plain, lambda x: plain_pcnn(plain, x)),
        "grouped": (grouped, lambda x: plain_pcnn(grouped, x, pairs_in_groups)),
    }
    work = _answer if kind == "forward" else _step
    times: dict[str, list[float]] = {name: [] for name in readings}
    for turn in range(turns + 1):
        for name, (network, read) in readings.items():
            clock = Clock()
            work(network, read, image, label)
            if turn:  # the first makes ready
                times[name].append(clock.read().wall)
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        work(*readings["plain"], image, label)
    spent = {event.key: event.self_cpu_time_total for event in profiler.key_averages()}
    convolutions = sum(time for key, time in spent.items() if "convolution" in key)
    return {
        "images": batch,
        "ratio": _ratio(times["fast"], times["plain"]),
        "grouped_ratio": _ratio(times["grouped"], times["plain"]),
        "convolution_share": round(convolutions / sum(spent.values()), 3),
        "fast_ms": [round(1000 * time, 1) for time in times["fast"]],
        "plain_ms": [round(1000 * time, 1) for time in times["plain"]],
    }


def _ratio(times: list[float], others: list[float]) -> float:
    pairs = zip(times, others, strict=True)
    return round(statistics.median(one / other for one, other in pairs), 3)


def _answer(network: PCNNNetwork, read: Network, image: Tensor, label: Tensor) -> None:
    network.eval()
    with torch.inference_mode():
        read(image)


def _step(network: PCNNNetwork, read: Network, image: Tensor, label: Tensor) -> None:
    network.train()
    network.zero_grad()
    whole, local = read(image)
    two_phase_loss(whole, local, label).total.backward()  # type: ignore[no-untyped-call]
