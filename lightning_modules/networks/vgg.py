"""Features of VGG-16, under the parameter names that published weights carry."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lightning_modules.networks.resnet import ImageNetNormalisation
from lightning_modules.networks.weights import MatchReport, fill, plain_names, read_weights

VGG16_ADDRESS = "https://download.pytorch.org/models/vgg16-397923af.pth"
VGG16_SHA256 = "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0"

# Channels of the convolutions of configuration D; "M" is a max pooling.
_LAYERS: tuple[int | str, ...] = (64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512)
# ReLUs at the end of the first four stages: relu1_2, relu2_2, relu3_3, relu4_3.
_TAPS = (3, 8, 15, 22)
# The convolutions of the fifth stage, which no tap needs.
_DEEPER = ("features.24.", "features.26.", "features.28.")


class VGGFeatures(nn.Module):
    """The first four stages of VGG-16; useless until :meth:`load_weights` has filled them.

    Reference:
        Simonyan and Zisserman (ICLR 2015), configuration D; taps after Johnson et al. (ECCV 2016).
    """

    loaded: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.normalise = ImageNetNormalisation()
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
        hidden = self.normalise(image)
        for index, layer in enumerate(self.features):
            hidden = layer(hidden)
            if index in _TAPS:
                maps.append(hidden)
        return maps

    def load_weights(self, source: str | None = None, sha256: str | None = None) -> MatchReport:
        """Fill the features.

        Args:
            source: Path of a state dict, or its http(s) address; None for torchvision's.
            sha256: Its SHA-256 in hexadecimal digits; an address needs one.

        Returns:
            The names that matched and those left unused.

        Raises:
            UserError: If the file cannot be had or read, or is not of this architecture.
        """
        if source is None:
            source, sha256 = VGG16_ADDRESS, VGG16_SHA256
        report = fill(
            [self],
            plain_names(read_weights(source, sha256)),
            source,
            belongs=lambda name: name.startswith("features.") and not name.startswith(_DEEPER),
            network="VGG-16",
            advice="give the weights of VGG-16 (not 19, not bn) as torchvision names them",
        )
        self.loaded.fill_(True)
        return report
