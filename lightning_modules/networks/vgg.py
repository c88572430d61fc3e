"""Features of VGG-16, under the parameter names that published weights carry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlparse

import torch
from torch import Tensor, nn

from datamodules.errors import UserError
from lightning_modules.networks.weights import read_weights

VGG16_ADDRESS = "https://download.pytorch.org/models/vgg16-397923af.pth"

# Channels of the convolutions of configuration D; "M" is a max pooling.
_LAYERS: tuple[int | str, ...] = (64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512)
# ReLUs at the end of the first four stages: relu1_2, relu2_2, relu3_3, relu4_3.
_TAPS = (3, 8, 15, 22)


@dataclass(frozen=True)
class LoadReport:
    """Which parameters a file of weights filled.

    Args:
        matched: Names that were loaded.
        unused: Names in the file that these features do not have, such as the classifier's.
    """

    matched: tuple[str, ...]
    unused: tuple[str, ...]


class VGGFeatures(nn.Module):
    """The first four stages of VGG-16; useless until :meth:`load_weights` has filled them.

    Reference:
        Simonyan and Zisserman (ICLR 2015), configuration D; taps after Johnson et al. (ECCV 2016).
    """

    mean: Tensor
    std: Tensor
    loaded: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1), False)
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1), False)
        self.register_buffer("loaded", torch.tensor(False))
        layers: list[nn.Module] = []
        channels = 3
        for layer in _LAYERS:
            if isinstance(layer, int):
                layers += [nn.Conv2d(channels, layer, 3, padding=1), nn.ReLU(inplace=False)]
                channels = layer
            else:
                layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Return four feature maps of images [B, 3, H, W] in [0, 1]."""
        maps = []
        hidden = (image - self.mean) / self.std
        for index, layer in enumerate(self.features):
            hidden = layer(hidden)
            if index in _TAPS:
                maps.append(hidden)
        return maps

    def load_weights(self, source: str) -> LoadReport:
        """Fill the features from a file or an address.

        Args:
            source: Path of a state dict, or an address whose file name ends, as usual, in
                ``-<first digits of its SHA-256>.pth``, which is checked.

        Returns:
            The names that matched and those left unused.

        Raises:
            UserError: If the file is missing or unreadable, or is not of this architecture.
        """
        weights = _read(source)
        own = dict(self.named_parameters())
        missing = [name for name in own if name not in weights]
        shapes = [
            f"{name} {tuple(weights[name].shape)} instead of {tuple(own[name].shape)}"
            for name in own
            if name in weights and weights[name].shape != own[name].shape
        ]
        unused = [name for name in weights if name not in own]
        # A deeper VGG has all these names and more features behind the last.
        other = [name for name in unused if name.startswith("features.") and not _of_vgg16(name)]
        if missing or shapes or other:
            raise UserError(
                f"{source} does not hold the weights of VGG-16: "
                f"{_some(missing)} missing, {_some(shapes)} of another shape, "
                f"{_some(other)} unknown. Give the weights of VGG-16 (not 19, not bn) as "
                "torchvision names them."
            )
        with torch.no_grad():
            for name, parameter in own.items():
                parameter.copy_(weights[name])
        self.loaded.fill_(True)
        return LoadReport(tuple(own), tuple(unused))


def _of_vgg16(name: str) -> bool:
    return name.rsplit(".", 1)[0] in {f"features.{index}" for index in (24, 26, 28)}


def _some(names: list[str]) -> str:
    return (
        f"{len(names)} ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})"
        if names
        else "none"
    )


def _read(source: str) -> Mapping[str, Tensor]:
    if urlparse(source).scheme not in ("http", "https"):
        return read_weights(source)
    digest = Path(urlparse(source).path).stem.rpartition("-")[2]
    if len(digest) < 8 or not set(digest) <= set("0123456789abcdef"):
        raise UserError(
            f"{source} does not end in -<first digits of its SHA-256>.pth, so what arrives "
            "could not be checked; download it and give its path."
        )
    try:
        weights = torch.hub.load_state_dict_from_url(
            source, map_location="cpu", check_hash=True, weights_only=True
        )
    except (OSError, RuntimeError) as error:
        raise UserError(
            f"{source} could not be fetched ({error}); download it elsewhere and give its "
            "path, or take the features of e_FER."
        ) from error
    if not isinstance(weights, Mapping):
        raise UserError(f"{source} holds a {type(weights).__name__}, not a state dict.")
    return weights
