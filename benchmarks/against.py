"""Our networks and training steps beside the authors' own, on the same inputs and weights."""

from __future__ import annotations

import copy
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.authors import load_emotion_gan, load_pcnn
from benchmarks.bare import BareEMotionGAN, descend
from benchmarks.measuring import Result, median_ratio, milliseconds, ratio_interval, take_turns
from callbacks.training.recorded_calls import RecordedCalls
from datamodules.store.threads import cores
from lightning_modules.emotion_gan import EMotionGAN
from lightning_modules.networks.fused import fused
from lightning_modules.networks.pcnn import PCNNNetwork
from losses.classification import two_phase_loss
from losses.perceptual import perceptual_loss

TOLERANCE = 1e-3
"""Largest difference of outputs, as a share of the largest output, that counts as equal."""
CPU = torch.device("cpu")
NO_CALLS = RecordedCalls([])
RECORDED = {"graphs": False, "graphs_bfloat16": True}
"""Whether bfloat16, by the names of steps that replay CUDA graphs."""
_BLOCK = 10
"""Steps of a turn on a GPU, after which it is waited for: were each waited for, the processor could
not hand out kernels ahead, and code without graphs would seem slower than in a training."""
Action = Callable[[], Tensor]


def measure_pcnn(
    folder: Path, *, quick: bool = False, device: torch.device = CPU
) -> Iterator[tuple[str, Result]]:
    """Time PCNN's answers at batches of 1, 8 and 32 images, and a training step.

    A step learns from 16 images, on a GPU from the paper's 128.

    Args:
        folder: Where the authors' code lies.
        quick: Whether two turns of the smallest batch are enough.
        device: Where both compute.
    """
    turns = _turns(6, device, quick=quick)
    network = PCNNNetwork(7)
    _pretend_trained(network)
    theirs = load_pcnn(folder, network).to(device)
    network = network.to(device)
    ours = fused(network)
    for batch, bound in ((1, "at most 1"), (8, "none"), (32, "at most 0.6"))[: 1 if quick else 3]:
        image = torch.randn(batch, 3, 224, 224, device=device)
        asked = {
            "ours": partial(_answer, ours, image),
            "theirs": partial(_answer, theirs.eval(), image),
            "bfloat16": partial(_answer, ours, image, bfloat16=True),
        }
        what = f"PCNN's answer to {batch} images / the authors' code"
        yield f"pcnn_forward_{batch}", _compare(what, bound, asked, turns, device)
    size = 2 if quick else 16 if device == CPU else 128
    image = torch.randn(size, 3, 224, 224, device=device)
    label = torch.randint(7, (size,), device=device)
    steps = {
        "ours": _pcnn_step(network, image, label),
        "theirs": _pcnn_step(theirs, image, label),
        "bfloat16": _pcnn_step(copy.deepcopy(network), image, label, bfloat16=True),
    }
    if device != CPU:
        for name, bfloat16 in RECORDED.items():
            copied = copy.deepcopy(network)
            calls = RecordedCalls([copied])
            steps[name] = _pcnn_step(copied, image, label, bfloat16=bfloat16, calls=calls)
    what = f"PCNN's training step on {size} images / the authors' code"
    yield "pcnn_train", _compare(what, "none", steps, turns, device)


def measure_emotion_gan(
    folder: Path,
    *,
    quick: bool = False,
    device: torch.device = CPU,
    module: EMotionGAN | None = None,
) -> Iterator[tuple[str, Result]]:
    """Time G_F and G_W, forwards and backwards, and the training step of all four players.

    Batches of four, as in the paper, from the epoch on in which G_W's loss reaches G_F.

    Args:
        folder: Where the authors' code lies.
        quick: Whether two turns are enough.
        device: Where both compute.
        module: An eMotion-GAN as the paper's in all but sizes; by default one of the paper's.

    Deviation:
        The authors' step does not run as published: it names variables that nobody sets. It is
        here as its text says, on their modules, with the losses of ours: e_FER's features and
        classes in place of those of VGG-16 and DMUE, which cost both sides the same.
    """
    module = module or EMotionGAN(connection_epoch=0)
    theirs: Any = load_emotion_gan(folder, module).to(device)
    module = module.to(device)
    if device == CPU:  # as `fit` lays networks out there
        module.to(memory_format=torch.channels_last)
    batch = {name: value.to(device) for name, value in _flow_batch(module).items()}
    posed, frontal = (module.codec.encode(batch[name]) for name in ("posed_flow", "flow"))
    turns = _turns(3, device, quick=quick)  # a step of both takes a minute of one core
    steps: dict[str, Callable[[], Any]] = {
        "ours": partial(_gan_step, BareEMotionGAN(module), batch),
        "theirs": AuthorsStep(copy.deepcopy(theirs), module, batch),
    }
    if device != CPU:  # there its minutes a step would be most of the whole
        steps["bfloat16"] = partial(_gan_step, BareEMotionGAN(module), batch, bfloat16=True)
        for name, bfloat16 in RECORDED.items():
            loop = BareEMotionGAN(module)
            calls = RecordedCalls(loop.networks)
            steps[name] = partial(_gan_step, loop, batch, bfloat16=bfloat16, calls=calls)
    what = "eMotion-GAN's training step on 4 pairs / the authors' code, repaired"
    yield "emotion_gan_train", _compare(what, "at most 0.67", steps, turns, device, outputs=False)
    del steps  # gigabytes
    for name, inputs in (("g_f", (posed,)), ("g_w", (batch["neutral"], frontal))):
        actions = {
            "ours": partial(_backwards, getattr(module, name), inputs),
            "theirs": partial(_backwards, theirs[name], inputs),
            "bfloat16": partial(_backwards, getattr(module, name), inputs, bfloat16=True),
        }
        what = f"{name.upper()} forwards and backwards / the authors' code"
        yield f"emotion_gan_{name}", _compare(what, "none", actions, turns, device)


class AuthorsStep:
    """The training step of eMotion-GAN's published train.py, on the authors' modules."""

    def __init__(self, nets: Any, module: EMotionGAN, batch: Mapping[str, Tensor]) -> None:
        self._nets, self._e_fer, self._batch = nets, module.e_fer.eval(), batch
        self._flows = [module.codec.encode(batch[name]) for name in ("posed_flow", "flow")]
        self._g_f = torch.optim.Adam(nets.g_f.parameters(), lr=1e-5, weight_decay=1e-4)
        self._g_w = torch.optim.Adam(nets.g_w.parameters(), lr=1e-4, weight_decay=1e-4)
        self._d_p = torch.optim.Adam(nets.d_p.parameters(), lr=1e-4, weight_decay=1e-4)
        self._d_e = torch.optim.SGD(nets.d_e.parameters(), lr=1e-4, weight_decay=1e-4)

    def __call__(self) -> None:
        """Move G_W, D_E, G_F and D_P, in this order."""
        nets, label, (posed, frontal) = self._nets, self._batch["label"], self._flows
        descend(self._g_w, self._image_loss(frontal))
        descend(self._d_e, functional.cross_entropy(nets.d_e(0.5 - 0.5 * frontal), label))
        made = nets.g_f(posed)
        expression = functional.cross_entropy(nets.d_e(0.5 - 0.5 * made), label)
        adversarial = 0.5 * (_judged(nets.d_p(made), 1) + expression)
        length = torch.linalg.vector_norm(made - frontal, dim=1).mean()
        robust = (functional.l1_loss(made, frontal) + 0.01) ** 0.4
        descend(self._g_f, adversarial + 7 * length + 3 * robust + self._image_loss(made))
        fake, real = _judged(nets.d_p(made.detach()), 0), _judged(nets.d_p(frontal), 1)
        descend(self._d_p, (fake + real) / 2)

    def _image_loss(self, flow: Tensor) -> Tensor:
        batch = self._batch
        face = self._nets.g_w(batch["neutral"], flow)
        perceptual = perceptual_loss(face, batch["apex"], self._e_fer.features)
        expression = functional.cross_entropy(self._e_fer(face), batch["label"])
        loss: Tensor = 2 * functional.l1_loss(face, batch["apex"]) + 7 * perceptual + expression
        return loss


def _compare(
    what: str,
    bound: str,
    actions: Mapping[str, Callable[[], Any]],
    turns: int,
    device: torch.device,
    *,
    outputs: bool = True,
) -> Result:
    """Time actions in turns after their outputs were found equal; the first two make the ratio.

    Raises:
        ValueError: If an output differs from the authors' by more than the tolerance.
    """
    differences = {}
    with _full_float32():
        answers = {name: action() for name, action in actions.items()}
    if outputs:
        scale = answers["theirs"].abs().max().item()
        for name in actions.keys() - {"theirs"}:
            share = (answers[name] - answers["theirs"]).abs().max().item() / scale
            differences[name] = f"{share:.1e} of the largest output"
            # Bfloat16 has two digits; what is left of them depends on the network.
            if name == "ours" and not share <= TOLERANCE:
                raise ValueError(f"{what}: the outputs differ by {share:.1e}, over {TOLERANCE:g}.")
    del answers
    block = 1 if device == CPU else _BLOCK
    finished = [partial(_finish, action, block) for action in actions.values()]
    if torch.cuda.is_available():
        take_turns(finished, 1)  # chooses its kernels
    times = dict(zip(actions, take_turns(finished, turns), strict=True))
    wall = {name: [one.wall for one in column] for name, column in times.items()}
    spent = {name: [one.processor for one in column] for name, column in times.items()}
    details: dict[str, Any] = {"cores": cores(), "torch_threads": torch.get_num_threads()}
    for name in actions:
        details[f"{name}_ms"] = milliseconds(times[name], digits=1, parts=block)
        details[f"{name}_processor_ms"] = round(1000 * statistics.median(spent[name]) / block, 1)
        if name != "theirs":
            details[f"{name}_ratio"] = round(median_ratio(wall[name], wall["theirs"]), 3)
            details[f"{name}_interval"] = ratio_interval(wall[name], wall["theirs"])
            details[f"{name}_processor_time_ratio"] = round(
                median_ratio(spent[name], spent["theirs"]), 3
            )
    return {
        "what": what,
        "ratio": median_ratio(wall["ours"], wall["theirs"]),
        "bound": bound,
        "details": {
            "interval": ratio_interval(wall["ours"], wall["theirs"]),
            **details,
            "largest_differences": differences,
            "tolerance_of_ours": TOLERANCE,
        },
    }


def _turns(turns: int, device: torch.device, *, quick: bool) -> int:
    """Return how many turns are taken: more on a GPU, where a block of steps takes a second."""
    return 2 if quick else turns if device == CPU else 3 * turns


@contextmanager
def _full_float32() -> Iterator[None]:
    """Compare outputs without TensorFloat-32, whose three digits many layers use up."""
    precision, tf32 = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(precision)
        torch.backends.cudnn.allow_tf32 = tf32


def _finish(action: Callable[[], Any], times: int) -> None:
    """Do something some times and wait until a GPU has done it too."""
    for _ in range(times):
        action()
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _answer(network: nn.Module, image: Tensor, *, bfloat16: bool = False) -> Tensor:
    with (
        torch.inference_mode(),
        torch.autocast(image.device.type, torch.bfloat16, enabled=bfloat16),
    ):
        whole, local = network(image)[:2]
    return torch.stack((whole.float(), local.float()))


def _pcnn_step(
    network: nn.Module,
    image: Tensor,
    label: Tensor,
    *,
    bfloat16: bool = False,
    calls: RecordedCalls = NO_CALLS,
) -> Action:
    network.train()
    # Fused where calls are recorded, as presets/gpu.yaml has both.
    fuse = True if calls is not NO_CALLS else None
    optimizer = torch.optim.SGD(
        network.parameters(), 0.0, momentum=0.9, weight_decay=1e-4, fused=fuse
    )

    def step() -> Tensor:
        with calls.step(), torch.autocast(image.device.type, torch.bfloat16, enabled=bfloat16):
            whole, local = network(image)[:2]
        descend(optimizer, two_phase_loss(whole.float(), local.float(), label).total)
        return torch.stack((whole, local)).detach().float()

    return step


def _gan_step(
    loop: BareEMotionGAN,
    batch: Any,
    *,
    bfloat16: bool = False,
    calls: RecordedCalls = NO_CALLS,
) -> None:
    with calls.step(), torch.autocast(loop.device.type, torch.bfloat16, enabled=bfloat16):
        loop.step(batch)


def _backwards(network: nn.Module, inputs: Sequence[Tensor], *, bfloat16: bool = False) -> Tensor:
    network.zero_grad()
    with torch.autocast(inputs[0].device.type, torch.bfloat16, enabled=bfloat16):
        output = network(*inputs).float()
    output.square().mean().backward()
    return output.detach()  # type: ignore[no-any-return]


def _judged(logits: Tensor, real: int) -> Tensor:
    target = torch.full_like(logits, real)
    return functional.binary_cross_entropy_with_logits(logits, target)


def _pretend_trained(network: PCNNNetwork) -> None:
    """Give norms and the transformer what they start without, so that all of it is compared."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1)  # type: ignore[arg-type]
            nn.init.uniform_(module.running_var, 0.5, 2)  # type: ignore[arg-type]
    localisation: Any = network.transformer
    nn.init.normal_(localisation.localisation[-1].weight, std=1e-3)


def _flow_batch(module: EMotionGAN) -> dict[str, Tensor]:
    size, side = 4, module.hparams["size"]
    return {
        "posed_flow": 3 * torch.randn(size, 2, side, side),
        "flow": 3 * torch.randn(size, 2, side, side),
        "neutral": torch.rand(size, 3, side, side),
        "apex": torch.rand(size, 3, side, side),
        "label": torch.randint(module.num_classes, (size,)),
        "is_neutral_apex": torch.ones(size, dtype=torch.bool),
    }
