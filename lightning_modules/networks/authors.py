"""The names of layers in the code of the methods' authors, and the weights that they published.

The published files themselves were never met here: names and shapes are those of the authors'
modules, keys those of their training scripts.

Reference:
    github.com/hellloxiaotian/PCNN (network/models.py, train.py, val.py) and
    github.com/o-ikne/eMotion-GAN (models/, train.py, demo.ipynb).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from datamodules.errors import UserError
from lightning_modules.networks.blocks import Blocks
from lightning_modules.networks.pcnn import PCNNNetwork
from lightning_modules.networks.weights import MatchReport, fill

PCNN_CLASSES = (
    *("neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger", "contempt"),
)
"""Classes in the order of val.py; seven, or with FERPlus all eight."""

# Number of features<n> and fc<n>, which is one more than that of resnet<n>.
_REGIONS = {"2": "left_eye", "3": "right_eye", "4": "left_cheek", "6": "right_cheek", "7": "mouth"}
# features<n> are the children of a ResNet in their order.
_CHILDREN = {"0": "conv1", "1": "bn1", "4": "layer1", "5": "layer2", "6": "layer3"}
_HEADS = ("fc.", "local_fc.")
_TRANSFORMER = "transformer."
_ANCHORS = {
    "PCNN": (r"resnet1\.conv1\.weight", r"features2\.0\.weight"),
    "G_F": (r"encoder\.1\.weight",),
    "G_W": (r"identity_encoder\.id_encoder\.model\.1\.weight",),
}


def find_network(content: Mapping[Any, Any], name: str) -> dict[str, Tensor]:
    """Find the weights of a network in a file, whatever keys and prefixes stand before them.

    Args:
        content: What :func:`lightning_modules.networks.weights.read_weights` returned.
        name: PCNN, G_F or G_W.

    Returns:
        Its tensors under the names of the authors' module; none where it is not there.
    """
    tensors = dict(_flat(content))
    for anchor in _ANCHORS[name]:
        for key in tensors:
            if found := re.fullmatch(rf"(|.*\.){anchor}", key):
                before = found.group(1)
                return {
                    key.removeprefix(before): tensor
                    for key, tensor in tensors.items()
                    if key.startswith(before)
                }
    return {}


def _flat(content: Mapping[Any, Any], before: str = "") -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors of nested mappings; what optimizers keep is under numbers, and left out."""
    for name, value in content.items():
        if isinstance(name, str) and isinstance(value, Tensor):
            yield before + name, value
        elif isinstance(name, str) and isinstance(value, Mapping):
            yield from _flat(value, f"{before}{name}.")


# ---- PCNN


def pcnn_name(name: str) -> str | None:
    """Return what :class:`PCNNNetwork` calls a tensor of the authors' PCNN.

    Their module lists each trunk twice, as resnet<n> and in its features<n>, and holds parts that
    it never uses.

    Args:
        name: Theirs.

    Returns:
        Ours, or None for what no answer depends on.
    """
    part, _, rest = name.partition(".")
    child, _, below = rest.partition(".")
    kind, number = part.rstrip("0123456789"), part.lstrip("abcdefghijklmnopqrstuvwxyz_")
    if part == "fc":
        return name
    if part == "fc_loc" and child.isdigit():  # ours flattens first
        return f"{_TRANSFORMER}localisation.{int(child) + 1}.{below}"
    if kind == "fc":
        return f"local_fc.{_REGIONS[number]}.{rest}" if number in _REGIONS else None
    if kind == "resnet":
        number = str(int(number or 0) + 1)
    elif kind == "features":
        number, child = ("1", "layer4") if number == "8" else (number, _CHILDREN.get(child, "fc"))
    else:
        return None
    if child == "layer4" and number == "1":
        return f"layer4.{below}"
    if child in ("layer4", "fc") or number not in ("1", *_REGIONS):
        return None
    trunk = "global_trunk" if number == "1" else f"region_trunks.{_REGIONS[number]}"
    return f"{trunk}.{child}.{below}"


def load_pcnn(
    network: PCNNNetwork,
    theirs: Mapping[str, Tensor],
    source: str,
    *,
    classes: Sequence[str] | None,
    order: Sequence[str] | None,
    whole: bool,
) -> tuple[MatchReport, tuple[str, ...]]:
    """Fill a PCNN with the published one.

    Args:
        network: The network.
        theirs: Tensors by the names of the authors' module.
        source: Where they were read, for errors.
        classes: Names of the classes in the order of the network's answers; None takes the file's.
        order: Those of the file, if not the authors' own.
        whole: Whether all must fit, as for an answer; a training may start without heads of other
            classes and without the transformer of another size.

    Returns:
        What matched, and the names of the network's classes.

    Raises:
        UserError: If the file's classes are not known or lack some of the network's, or its shapes
            are others. Nothing was changed then.
    """
    weights = {pcnn_name(name) or name: tensor for name, tensor in theirs.items()}
    known = _classes_of(weights, order, source)
    own = network.state_dict()
    if classes is None:
        classes = known
    if len(classes) != len(own["fc.bias"]):
        raise UserError(
            f"{source} tells {', '.join(known)} apart: set model.num_classes to {len(known)}."
        )
    if set(classes) <= set(known):
        rows = torch.tensor([known.index(name) for name in classes])
        weights |= {n: t[rows] for n, t in weights.items() if n.startswith(_HEADS)}
    elif whole:
        raise UserError(
            f"{source} tells {', '.join(known)} apart, and the data have {', '.join(classes)}: set "
            "data.expressions to classes that it knows, or start a training from it."
        )
    else:
        weights = {f"their {n}" if n.startswith(_HEADS) else n: t for n, t in weights.items()}
    if network.mdim_layer4 is not None:  # the same function as one shared layer
        weights |= {f"mdim_{n}": t for n, t in weights.items() if n.startswith("layer4.")}
    free = () if whole else (*_HEADS, _TRANSFORMER)
    shapes = {name: tensor.shape for name, tensor in own.items()}
    weights = {
        f"their {n}" if n.startswith(free) and shapes.get(n) != t.shape else n: t
        for n, t in weights.items()
    }
    parts = (*_HEADS, _TRANSFORMER, "global_trunk.", "region_trunks.", "layer4.", "mdim_layer4.")
    left = {name for name in own if name.startswith(free) and name not in weights}
    report = fill(
        [network],
        weights,
        source,
        belongs=lambda name: name.startswith(parts) and name not in left,
        network="this PCNN",
        advice="give the model the published one's size 224, stem imagenet, width 64, five regions "
        "and a transformer that shares all of layer 4, as experiments/pcnn.yaml",
    )
    return report, tuple(classes)


def _classes_of(
    weights: Mapping[str, Tensor], order: Sequence[str] | None, source: str
) -> tuple[str, ...]:
    """Return the names of the classes that a published PCNN answers, in its order."""
    count = len(weights["fc.bias"]) if "fc.bias" in weights else 0
    known = tuple(order) if order is not None else PCNN_CLASSES[:count] if count in (7, 8) else ()
    if len(known) != count or not count:
        got = f"model.weights_classes names {len(known)}" if order else "the authors name 7 or 8"
        raise UserError(
            f"{source} tells {count} classes apart, and {got}: give their names in its order as "
            "model.weights_classes."
        )
    return known


# ---- eMotion-GAN


def generator_names(flow: Blocks, image: Blocks) -> dict[str, dict[str, str]]:
    """Name the tensors of the authors' generators as ours do.

    A bias that is followed by an instance norm, which subtracts it again, has no name.

    Args:
        flow: Blocks of G_F.
        image: Blocks of G_W.

    Returns:
        Our names by theirs, for ``g_f`` and ``g_w``.
    """
    pair = ("identity_encoder", "id_encoder"), ("motion_encoder", "motion_encoder")
    return {
        "g_f": dict([*_encoder("encoder", "encoder", flow), *_decoder("decoder", flow)]),
        "g_w": dict(
            [
                *(
                    names
                    for ours, inner in pair
                    for names in _encoder(f"{ours}.{inner}.model", ours, image)
                ),
                *_decoder("decoder.layers", image),
            ]
        ),
    }


def _encoder(theirs: str, ours: str, blocks: Blocks) -> Iterator[tuple[str, str]]:
    yield f"{theirs}.1.weight", f"{ours}.0.0.weight"
    for level in range(blocks.samplings):
        yield f"{theirs}.{4 + 3 * level}.weight", f"{ours}.{1 + level}.0.weight"
    first = f"{theirs}.", 4 + 3 * blocks.samplings, f"{ours}.", 1 + blocks.samplings
    yield from _residuals(*first, blocks.encoding)


def _decoder(theirs: str, blocks: Blocks) -> Iterator[tuple[str, str]]:
    yield from _residuals(f"{theirs}.", 0, "decoder.", 0, blocks.decoding)
    for level in range(blocks.samplings):
        at, own = blocks.decoding + 4 * level, f"decoder.{blocks.decoding + level}"
        for kind in ("weight", "bias"):
            yield f"{theirs}.{at + 1}.{kind}", f"{own}.1.{kind}"
        yield f"{theirs}.{at + 2}.gamma", f"{own}.2.weight"
        yield f"{theirs}.{at + 2}.beta", f"{own}.2.bias"
    for kind in ("weight", "bias"):
        at = blocks.decoding + 4 * blocks.samplings + 1
        yield f"{theirs}.{at}.{kind}", f"decoder.{blocks.decoding + blocks.samplings}.{kind}"


def _residuals(theirs: str, at: int, ours: str, own: int, count: int) -> Iterator[tuple[str, str]]:
    for number in range(count):
        for layer, conv in ((1, 0), (5, 3)):
            their_name = f"{theirs}{at + number}.block.{layer}.weight"
            yield their_name, f"{ours}{own + number}.block.{conv}.weight"


def negated(image: Blocks) -> tuple[str, ...]:
    """Name the tensors of our G_W that are the negatives of the authors'.

    Their code shows G_W negatives of faces, white at -1, and it draws such. The convolutions at
    both ends take the sign, and our faces stay as they are.
    """
    last = image.decoding + image.samplings
    return "identity_encoder.0.0.weight", f"decoder.{last}.weight", f"decoder.{last}.bias"


def describe_generators(content: Mapping[Any, Any], source: str) -> dict[str, Any]:
    """Return the arguments of :class:`EMotionGAN` that published generators need.

    Args:
        content: What was read.
        source: Where, for errors.

    Raises:
        UserError: If one of the generators is not there.
    """
    sizes = {}
    for name, encoder, decoder in (
        ("G_F", "encoder", "decoder"),
        ("G_W", "identity_encoder.id_encoder.model", "decoder.layers"),
    ):
        if not (theirs := find_network(content, name)):
            raise UserError(
                f"{source} holds no {name} under the names of eMotion-GAN's authors: give the file "
                "that they published; a checkpoint of this project is given with --ckpt_path."
            )
        residuals = [rf"{re.escape(part)}\.\d+\.block\.1\.weight" for part in (encoder, decoder)]
        counts = [
            sum(re.fullmatch(pattern, key) is not None for key in theirs)
            for pattern in (rf"{re.escape(decoder)}\.\d+\.gamma", *residuals)
        ]
        sizes[name] = len(theirs[f"{encoder}.1.weight"]), counts
    return {
        "representation": "authors",
        "flow_prior": "none",
        "image_prior": "none",
        "width": sizes["G_F"][0],
        "image_width": sizes["G_W"][0],
        "flow_blocks": sizes["G_F"][1],
        "image_blocks": sizes["G_W"][1],
    }


def load_generators(
    generators: nn.ModuleDict,
    content: Mapping[Any, Any],
    source: str,
    *,
    flow: Blocks,
    image: Blocks,
) -> MatchReport:
    """Fill both generators with the published ones, or none.

    Args:
        generators: ``g_f`` and ``g_w``.
        content: What was read.
        source: Where, for errors.
        flow: Blocks of G_F.
        image: Blocks of G_W.

    Returns:
        What matched. Biases that an instance norm subtracts again are not used.

    Raises:
        UserError: If they are of another architecture.
    """
    names = generator_names(flow, image)
    weights = {f"file: {name}": tensor for name, tensor in _flat(content)}
    for part, network in (("g_f", "G_F"), ("g_w", "G_W")):
        theirs = find_network(content, network)
        used = {id(tensor) for tensor in theirs.values()}
        weights = {name: tensor for name, tensor in weights.items() if id(tensor) not in used}
        for name, tensor in theirs.items():
            own = names[part].get(name)
            sign = -1 if part == "g_w" and own in negated(image) else 1
            weights[f"{part}.{own}" if own else f"{network}: {name}"] = sign * tensor
    return fill(
        [generators],
        weights,
        source,
        belongs=lambda name: name.startswith(("g_f.", "g_w.")),
        network="these generators of eMotion-GAN",
        advice="give the widths and blocks of the published ones",
    )
