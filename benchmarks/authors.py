"""The authors' own modules, where their code lies in a folder, with the weights of ours."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, nn

from datamodules.errors import UserError
from lightning_modules.emotion_gan import EMotionGAN
from lightning_modules.networks.pcnn import PCNNNetwork

PCNN_CODE, EMOTION_GAN_CODE = "PCNN", "eMotion-GAN"
"""Folders of their repositories, as ``git clone`` names them: github.com/hellloxiaotian/PCNN and
github.com/o-ikne/eMotion-GAN."""
_PCNN_REGIONS = {
    "left_eye": ("resnet1", "fc2"),
    "right_eye": ("resnet2", "fc3"),
    "left_cheek": ("resnet3", "fc4"),
    "right_cheek": ("resnet5", "fc6"),
    "mouth": ("resnet6", "fc7"),
}


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
    trunks = {"resnet": network.global_trunk} | {
        resnet: network.region_trunks[name] for name, (resnet, _) in _PCNN_REGIONS.items()
    }
    for name, trunk in trunks.items():
        missing = getattr(theirs, name).load_state_dict(trunk.state_dict(), strict=False)
        if missing.unexpected_keys:
            raise UserError(f"The authors' ResNet-18 has no {', '.join(missing.unexpected_keys)}.")
    theirs.resnet.layer4.load_state_dict(network.layer4.state_dict())
    theirs.fc.load_state_dict(network.fc.state_dict())
    for name, (_, head) in _PCNN_REGIONS.items():
        getattr(theirs, head).load_state_dict(network.local_fc[name].state_dict())
    localisation: Any = network.transformer
    copy_in_order(localisation.localisation, theirs.fc_loc)
    return theirs  # type: ignore[no-any-return]


def load_emotion_gan(folder: Path, module: EMotionGAN) -> nn.ModuleDict:
    """Build the authors' networks of eMotion-GAN with the weights of ours.

    Args:
        folder: Holds their repository as ``eMotion-GAN``.
        module: An eMotion-GAN without priors; weights are copied in the order of the layers.

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
    with _importing(root, "models.motion_normalizer") as code:
        sizes = {"encoder_res": 2, "decoder_res": 5, "n_sampling": 4}
        with torch.device("meta"):  # as published its decoder would take 100 GB
            encoder = code.MotionNormalizer(dim=width, **sizes).encoder
        g_f = code.MotionNormalizer(dim=width // 2**4, **sizes)
        g_f.encoder = encoder.to_empty(device="cpu")
        d_p = code.MotionDiscriminator(2)
        d_e = code.EmotionDiscriminator(2, module.num_classes)
    with _importing(root, "models.motion_warper") as code:
        g_w = code.MotionWarper(dim=width, encoder_res=3, decoder_res=3, n_sampling=3)
    copy_in_order(module.g_f, g_f)
    copy_in_order(module.g_w, g_w)
    copy_in_order(module.d_p, d_p)
    return nn.ModuleDict({"g_f": g_f, "g_w": InUnitRange(g_w), "d_p": d_p, "d_e": d_e})


class InUnitRange(nn.Module):
    """A drawer of faces in [-1, 1], made to read and return faces [B, 3, H, W] in [0, 1]."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, face: Tensor, flow: Tensor) -> Tensor:
        """Draw the faces after the motion [B, 2, H, W]."""
        return (self.network(2 * face - 1, flow) + 1) / 2  # type: ignore[no-any-return]


def copy_in_order(ours: nn.Module, theirs: nn.Module) -> None:
    """Copy the weights of layers in the order in which both networks list them.

    Args:
        ours: Whose weights are copied.
        theirs: Whose weights are overwritten; a bias that ours lacks becomes 0.

    Raises:
        UserError: If the numbers of layers or their shapes differ.
    """
    pairs = list(_layers(ours)), list(_layers(theirs))
    shapes = [[weight.shape for weight, _ in side] for side in pairs]
    if shapes[0] != shapes[1]:
        raise UserError(
            f"The authors' network has {len(pairs[1])} layers with weights where ours has "
            f"{len(pairs[0])}, or others of other shapes: give the code of the paper's network."
        )
    with torch.no_grad():
        for (weight, bias), (their_weight, their_bias) in zip(*pairs, strict=True):
            their_weight.copy_(weight)
            if their_bias is not None:
                their_bias.copy_(torch.zeros_like(their_bias) if bias is None else bias)


def _layers(network: nn.Module) -> Iterator[tuple[Any, Any]]:
    """Yield weight and bias of each layer; the authors' layer norm calls them gamma and beta."""
    for layer in network.modules():
        if (weight := getattr(layer, "weight", None)) is not None:
            yield weight, layer.bias
        elif (weight := getattr(layer, "gamma", None)) is not None:
            yield weight, layer.beta


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
