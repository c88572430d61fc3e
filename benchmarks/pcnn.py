"""PCNN against the plain reading of the same network, one module after the other."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.profiler import ProfilerActivity, profile

from benchmarks.measuring import Result, median_ratio, milliseconds, take_turns
from lightning_modules.networks.fused import fused
from lightning_modules.networks.pcnn import PCNNNetwork
from losses.classification import two_phase_loss

Network = Callable[[Tensor], tuple[Tensor, Tensor]]


def measure_forward(*, quick: bool = False) -> Result:
    """Time answers of PCNN and of the plain reading, in turns: the ratio at 224 pixels."""
    return _measure("forward", "at most 0.8", quick=quick)


def measure_step(*, quick: bool = False) -> Result:
    """Time training steps without the optimizer, which is the same for both, in turns.

    ``convolution_share`` is the part of the plain reading's time that convolutions take: no other
    arrangement of the same convolutions goes below it.
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
    network = PCNNNetwork(7, size, width=width)
    plain = copy.deepcopy(network).to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    fast = fused(network) if kind == "forward" else network
    work = _answer if kind == "forward" else _step
    run_fast = partial(work, fast, lambda x: fast(x)[:2], image, label)
    run_plain = partial(work, plain, lambda x: plain_pcnn(plain, x), image, label)
    take_turns([run_fast, run_plain], turns=1)  # the first makes ready
    fast_times, plain_times = take_turns([run_fast, run_plain], turns)
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        run_plain()
    spent = {event.key: event.self_cpu_time_total for event in profiler.key_averages()}
    convolutions = sum(time for key, time in spent.items() if "convolution" in key)
    ratio = median_ratio([one.wall for one in fast_times], [one.wall for one in plain_times])
    return {
        "images": batch,
        "ratio": round(ratio, 3),
        "convolution_share": round(convolutions / sum(spent.values()), 3),
        "fast_ms": milliseconds(fast_times, digits=1),
        "plain_ms": milliseconds(plain_times, digits=1),
    }


def _answer(network: nn.Module, read: Network, image: Tensor, label: Tensor) -> None:
    network.eval()
    with torch.inference_mode():
        read(image)


def _step(network: nn.Module, read: Network, image: Tensor, label: Tensor) -> None:
    network.train()
    network.zero_grad()
    whole, local = read(image)
    two_phase_loss(whole, local, label).total.backward()  # type: ignore[no-untyped-call]


def plain_pcnn(network: PCNNNetwork, image: Tensor) -> tuple[Tensor, Tensor]:
    """Classify faces by five regions as the paper's text says, module after module.

    Args:
        network: Whose weights are taken.
        image: Normalised [B, 3, H, W].

    Returns:
        Logits [B, K] of GPN and of LPN.
    """
    side = image.shape[-1]
    upper, lower, middle = side // 2, side * 13 // 20, side // 2
    pieces = {
        "left_eye": image[:, :, :upper, :middle],
        "right_eye": image[:, :, :upper, middle:],
        "left_cheek": image[:, :, upper:lower, :middle],
        "right_cheek": image[:, :, upper:lower, middle:],
        "mouth": image[:, :, lower:],
    }
    whole = _trunk(network.global_trunk, image)
    regions = [_trunk(network.region_trunks[name], piece) for name, piece in pieces.items()]
    left_eye, right_eye, left_cheek, right_cheek, mouth = regions
    width = whole.shape[3]
    eyes = torch.cat((left_eye, right_eye), 3)
    cheeks = torch.cat((left_cheek, right_cheek), 3)
    eyes = _resize(eyes, eyes.shape[2], width)
    cheeks = _resize(cheeks, cheeks.shape[2], width)
    stitched = _resize(torch.cat((eyes, cheeks, mouth), 2), whole.shape[2], width)
    localiser = network.layer4 if network.mdim_layer4 is None else network.mdim_layer4
    transformer = cast(Any, network.transformer)
    theta = transformer.localisation(_layer(localiser, stitched)).view(-1, 2, 3)
    grid = functional.affine_grid(theta, list(stitched.shape), align_corners=True)
    joined = whole + functional.grid_sample(stitched, grid, align_corners=True)
    local = torch.zeros(())
    for name, features in zip(pieces, regions, strict=True):
        local = local + network.local_fc[name](_pool(features))
    return network.fc(_pool(_layer(network.layer4, joined))), local


def _pool(features: Tensor) -> Tensor:
    return functional.adaptive_avg_pool2d(features, 1).flatten(1)


def _resize(features: Tensor, height: int, width: int) -> Tensor:
    return functional.interpolate(features, (height, width), mode="bilinear", align_corners=True)


def _trunk(trunk: Any, x: Tensor) -> Tensor:
    x = trunk.maxpool(functional.relu(trunk.bn1(trunk.conv1(x))))
    return _layer(trunk.layer3, _layer(trunk.layer2, _layer(trunk.layer1, x)))


def _layer(layer: Any, x: Tensor) -> Tensor:
    for block in layer:
        shortcut = x if block.downsample is None else block.downsample(x)
        hidden = functional.relu(block.bn1(block.conv1(x)))
        x = functional.relu(block.bn2(block.conv2(hidden)) + shortcut)
    return x
