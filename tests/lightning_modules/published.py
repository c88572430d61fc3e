"""What the authors' checkpoints look like: their names and shapes, with weights drawn here."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from lightning_modules.networks.pcnn import PCNNNetwork

State = dict[str, Tensor]
# Places of the layers among the children of a ResNet.
_CHILDREN = {"conv1": 0, "bn1": 1, "layer1": 4, "layer2": 5, "layer3": 6}


def drawn_pcnn(classes: int = 7, size: int = 64) -> PCNNNetwork:
    """A small PCNN that answers differently in each of its parts."""
    net = PCNNNetwork(classes, size, width=2).eval()
    for name, tensor in net.state_dict().items():
        if tensor.is_floating_point():
            centre = 1.0 if name.endswith(("running_var", "bn1.weight", "bn2.weight")) else 0.0
            tensor.copy_(centre + 0.1 * torch.randn_like(tensor).clamp(-2, 2))
    return net


def authors_pcnn(net: PCNNNetwork) -> State:
    """The weights of a PCNN as the authors' module lists them, its unused parts included."""
    state: State = {}
    trunks = [net.global_trunk, *net.region_trunks.values()]
    layer4 = {f"layer4.{name}": tensor for name, tensor in net.layer4.state_dict().items()}
    for resnet, trunk in zip(("", "1", "2", "3", "5", "6"), trunks, strict=True):
        weights = trunk.state_dict()
        own = layer4 if not resnet else {n: torch.randn_like(t * 1.0) for n, t in layer4.items()}
        for name, tensor in {**weights, **own}.items():
            state[f"resnet{resnet}.{name}"] = tensor
        state[f"resnet{resnet}.fc.weight"] = torch.randn(1000, 16)
        for name, tensor in weights.items():
            child, _, below = name.partition(".")
            state[f"features{int(resnet or 0) + 1}.{_CHILDREN[child]}.{below}"] = tensor
    state["resnet4.conv1.weight"] = torch.randn(2, 3, 7, 7)
    state |= {name.replace("layer4", "features8.0"): tensor for name, tensor in layer4.items()}
    for number, head in zip("23467", net.local_fc.values(), strict=True):
        state |= {f"fc{number}.{name}": tensor for name, tensor in head.state_dict().items()}
    state |= {f"fc.{name}": tensor for name, tensor in net.fc.state_dict().items()}
    assert net.transformer is not None
    for theirs, ours in (("0", "1"), ("2", "3")):
        layer = net.transformer.localisation[int(ours)]
        state |= {f"fc_loc.{theirs}.{name}": value for name, value in layer.state_dict().items()}
    return state


def authors_generators(
    width: int, flow: tuple[int, int, int], image: tuple[int, int, int]
) -> tuple[State, State]:
    """G_F and G_W with blocks of these numbers: samplings, residual in encoder and in decoder."""
    g_f = _encoder("encoder", 2, width, flow) | _decoder("decoder", 2 ** flow[0] * width, 2, flow)
    g_w = (
        _encoder("identity_encoder.id_encoder.model", 3, width, image)
        | _encoder("motion_encoder.motion_encoder.model", 2, width, image)
        | _decoder("decoder.layers", 2 * 2 ** image[0] * width, 3, image)
    )
    return g_f, g_w


def authors_checkpoint(g_f: State, g_w: State, prefix: str = "module.") -> dict[str, Any]:
    """What their training writes: both generators, other players, an optimizer, and numbers."""
    return {
        "epoch": 3,
        "flow_gen_state_dict": {f"{prefix}{name}": tensor for name, tensor in g_f.items()},
        "img_gen_state_dict": {f"{prefix}{name}": tensor for name, tensor in g_w.items()},
        "emotion_disc_state_dict": {f"{prefix}conv_0.weight": torch.zeros(8, 2, 3, 3)},
        "img_gen_optimizer": {"state": {0: {"exp_avg": torch.zeros(2)}}, "param_groups": [{}]},
        "best_val": torch.tensor(1.0),
    }


def authors_g_f(state: State, code: Tensor) -> Tensor:
    """What their G_F makes of flows in their code."""
    return _draw("decoder", _encode("encoder", code, state), state)


def authors_g_w(state: State, negative: Tensor, code: Tensor) -> Tensor:
    """What their G_W makes of negatives of faces and flows in their code."""
    features = (
        _encode("identity_encoder.id_encoder.model", negative, state),
        _encode("motion_encoder.motion_encoder.model", code, state),
    )
    return _draw("decoder.layers", torch.cat(features, 1), state)


def _conv(name: str, into: int, out: int, kernel: int) -> State:
    weight = torch.randn(out, into, kernel, kernel) / (into * kernel**2) ** 0.5
    return {f"{name}.weight": weight, f"{name}.bias": 0.1 * torch.randn(out)}


def _residuals(before: str, first: int, count: int, width: int) -> State:
    state: State = {}
    for number in range(first, first + count):
        for layer in (1, 5):
            state |= _conv(f"{before}.{number}.block.{layer}", width, width, 3)
    return state


def _encoder(before: str, into: int, width: int, blocks: tuple[int, int, int]) -> State:
    state, place = _conv(f"{before}.1", into, width, 7), 4
    for _ in range(blocks[0]):
        state |= _conv(f"{before}.{place}", width, 2 * width, 4)
        place, width = place + 3, 2 * width
    return state | _residuals(before, place, blocks[1], width)


def _decoder(before: str, width: int, out: int, blocks: tuple[int, int, int]) -> State:
    state, place = _residuals(before, 0, blocks[2], width), blocks[2]
    for _ in range(blocks[0]):
        state |= _conv(f"{before}.{place + 1}", width, width // 2, 5)
        width //= 2
        state |= {f"{before}.{place + 2}.gamma": torch.rand(width)}
        state |= {f"{before}.{place + 2}.beta": 0.1 * torch.randn(width)}
        place += 4
    return state | _conv(f"{before}.{place + 1}", width, out, 7)


def _layer(name: str, x: Tensor, state: State, stride: int = 1, **pad: Any) -> Tensor:
    weight = state[f"{name}.weight"]
    border = 1 if stride == 2 else weight.shape[-1] // 2
    x = functional.pad(x, (border,) * 4, **pad)
    return functional.conv2d(x, weight, state[f"{name}.bias"], stride)


def _block(name: str, x: Tensor, state: State) -> Tensor:
    inner = functional.instance_norm(_layer(f"{name}.block.1", x, state, mode="reflect")).relu()
    return x + functional.instance_norm(_layer(f"{name}.block.5", inner, state, mode="reflect"))


def _encode(before: str, x: Tensor, state: State) -> Tensor:
    x = functional.instance_norm(_layer(f"{before}.1", x, state, mode="reflect")).relu()
    place = 4
    while f"{before}.{place}.weight" in state:
        x = functional.instance_norm(_layer(f"{before}.{place}", x, state, 2)).relu()
        place += 3
    while f"{before}.{place}.block.1.weight" in state:
        x, place = _block(f"{before}.{place}", x, state), place + 1
    return x


def _draw(before: str, x: Tensor, state: State) -> Tensor:
    place = 0
    while f"{before}.{place}.block.1.weight" in state:
        x, place = _block(f"{before}.{place}", x, state), place + 1
    while f"{before}.{place + 2}.gamma" in state:
        x = _layer(f"{before}.{place + 1}", functional.interpolate(x, scale_factor=2.0), state)
        rows = x.flatten(1)
        x = (x - rows.mean(1).view(-1, 1, 1, 1)) / (rows.std(1).view(-1, 1, 1, 1) + 1e-5)
        scale, shift = (state[f"{before}.{place + 2}.{kind}"] for kind in ("gamma", "beta"))
        x, place = (x * scale.view(-1, 1, 1) + shift.view(-1, 1, 1)).relu(), place + 4
    return _layer(f"{before}.{place + 1}", x, state, mode="reflect").tanh()
