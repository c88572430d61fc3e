"""The authors' own modules, where their code lies in a folder, with the weights of ours."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import types
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, nn

from datamodules.errors import UserError
from lightning_modules.emotion_gan import EMotionGAN
from lightning_modules.networks.authors import generator_names, negated, pcnn_name
from lightning_modules.networks.blocks import Blocks
from lightning_modules.networks.pcnn import PCNNNetwork

PCNN_CODE, EMOTION_GAN_CODE = "PCNN", "eMotion-GAN"
"""Folders of their repositories, as ``git clone`` names them: github.com/hellloxiaotian/PCNN and
github.com/o-ikne/eMotion-GAN."""


def load_pcnn(folder: Path, network: PCNNNetwork) -> nn.Module:
    """Build the authors' PCNN with the weights of ours.

    Args:
        folder: Holds their repository as ``PCNN``.
        network: A PCNN as the paper's; its weights are copied by name.

    Returns:
        A module from images [B, 3, 224, 224] to the logits of GPN and LPN.

    Raises:
        UserError: If the code is not there.
    """
    with TemporaryDirectory() as place, _importing(folder / PCNN_CODE, "network.models") as code:
        # Its constructor reads weights from a path of its own.
        (Path(place) / "models").mkdir()
        torch.save({"state_dict": ResNet18().state_dict()}, f"{place}/models/resnet18_msceleb.pth")
        here = Path.cwd()
        os.chdir(place)
        try:
            theirs: Any = code.PCNN(network.fc.out_features)
        finally:
            os.chdir(here)
    ours = network.state_dict()
    known = {name: pcnn_name(name) for name in theirs.state_dict()}
    theirs.load_state_dict(
        {name: ours[own] for name, own in known.items() if own is not None}, strict=False
    )
    return theirs  # type: ignore[no-any-return]


def load_emotion_gan(folder: Path, module: EMotionGAN) -> nn.ModuleDict:
    """Build the authors' networks of eMotion-GAN with the weights of ours.

    Args:
        folder: Holds their repository as ``eMotion-GAN``.
        module: An eMotion-GAN without priors; weights are copied by their names.

    Returns:
        ``g_f``, ``g_w``, ``d_p`` and ``d_e``. The last has weights and sizes of its own: ours is
        ten times smaller.

    Raises:
        UserError: If the code is not there.

    Deviation:
        Their MotionNormalizer gives its decoder 2^4 times the channels that its encoder returns,
        so that it fails on every input. Here the decoder is that of one whose first layer is as
        much narrower, which has the channels of the paper: the repair changes no line of theirs.
    """
    root, width = folder / EMOTION_GAN_CODE, module.hparams["width"]
    blocks = [Blocks(*module.hparams[name]) for name in ("flow_blocks", "image_blocks")]
    with _importing(root, "models.motion_normalizer") as code:
        samplings, encoding, decoding = blocks[0]
        sizes = {"encoder_res": encoding, "decoder_res": decoding, "n_sampling": samplings}
        with torch.device("meta"):  # as published its decoder would take 100 GB
            encoder = code.MotionNormalizer(dim=width, **sizes).encoder
        g_f = code.MotionNormalizer(dim=width // 2**samplings, **sizes)
        g_f.encoder = encoder.to_empty(device="cpu")
        d_p = code.MotionDiscriminator(2)
        d_e = code.EmotionDiscriminator(2, module.num_classes)
    with _importing(root, "models.motion_warper") as code:
        samplings, encoding, decoding = blocks[1]
        sizes = {"encoder_res": encoding, "decoder_res": decoding, "n_sampling": samplings}
        g_w = code.MotionWarper(dim=width, **sizes)
    names = generator_names(*blocks)
    _copy(module.g_f, g_f, names["g_f"])
    _copy(module.g_w, g_w, names["g_w"], negated=negated(blocks[1]))
    _copy(module.d_p, d_p, {name: name.replace("model", "blocks") for name in d_p.state_dict()})
    return nn.ModuleDict({"g_f": g_f, "g_w": InUnitRange(g_w), "d_p": d_p, "d_e": d_e})


class InUnitRange(nn.Module):
    """A drawer of negatives in [-1, 1], made to read and return faces [B, 3, H, W] in [0, 1]."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, face: Tensor, flow: Tensor) -> Tensor:
        """Draw the faces after the motion [B, 2, H, W]."""
        return (1 - self.network(1 - 2 * face, flow)) / 2  # type: ignore[no-any-return]


def _copy(
    ours: nn.Module, theirs: nn.Module, names: Mapping[str, str], negated: Sequence[str] = ()
) -> None:
    """Copy weights of ours into theirs; a bias that ours lacks becomes 0.

    Args:
        ours: Whose weights are copied.
        theirs: Whose weights are overwritten.
        names: Ours by theirs.
        negated: Those of ours that change their sign.

    Raises:
        UserError: If the networks are of other layers or shapes.
    """
    weights = ours.state_dict()
    shapes = {name: tensor.shape for name, tensor in weights.items()}
    state = theirs.state_dict()
    copied = {own: state[name] for name, own in names.items() if name in state and own in weights}
    if {name: tensor.shape for name, tensor in copied.items()} != shapes:
        raise UserError(
            "The authors' network has other layers than ours, or layers of other shapes: give the "
            "code of the paper's network."
        )
    given = {name: torch.zeros_like(tensor) for name, tensor in state.items()}
    for name, own in names.items():
        if own in weights:
            given[name] = -weights[own] if own in negated else weights[own]
    theirs.load_state_dict(given)


@contextmanager
def _importing(root: Path, name: str) -> Iterator[Any]:
    """Import a module of a folder that is no installed package, and forget it afterwards.

    Raises:
        UserError: If it is not there.
    """
    file = (root / name.replace(".", "/")).with_suffix(".py")
    if not file.exists():
        raise UserError(
            f"The authors' code is not there: {file} does not exist. Clone their repository into "
            f"the folder given with --against, under the name {root.name}."
        )
    before, path = dict(sys.modules), list(sys.path)
    sys.path.insert(0, str(root))
    if importlib.util.find_spec("torchvision") is None:
        sys.modules |= _torchvision()
    try:
        yield importlib.import_module(name)
    finally:
        sys.path[:] = path
        for added in set(sys.modules) - set(before):
            if added.split(".")[0] in (name.split(".")[0], "torchvision"):
                del sys.modules[added]


def _torchvision() -> dict[str, types.ModuleType]:
    """Stand in for the one network that PCNN's code takes from torchvision."""
    package, models = types.ModuleType("torchvision"), types.ModuleType("torchvision.models")
    models.resnet18 = ResNet18  # type: ignore[attr-defined]
    package.models = models  # type: ignore[attr-defined]
    return {"torchvision": package, "torchvision.models": models}


class Block(nn.Module):
    """The basic block of torchvision's ResNet-18: each layer a call of its own."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(after)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)
        self.downsample = (
            nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))
            if stride != 1
            else None
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return features [B, after, H / stride, W / stride] for [B, before, H, W]."""
        shortcut = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += shortcut
        return self.relu(out)  # type: ignore[no-any-return]


class ResNet18(nn.Sequential):
    """ResNet-18 with torchvision's names and order of children, where torchvision is missing."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.layer1 = nn.Sequential(Block(64, 64, 1), Block(64, 64, 1))
        self.layer2 = nn.Sequential(Block(64, 128, 2), Block(128, 128, 1))
        self.layer3 = nn.Sequential(Block(128, 256, 2), Block(256, 256, 1))
        self.layer4 = nn.Sequential(Block(256, 512, 2), Block(512, 512, 1))
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(512, 1000)
