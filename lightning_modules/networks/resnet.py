"""ResNet-18 in pieces, under the parameter names that published weights carry."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

Stem = Literal["imagenet", "small", "pooled"]


class ImageNetNormalisation(nn.Module):
    """Subtracts ImageNet's mean colour and divides by its deviation, as published weights expect.

    Its two constants are no part of a state dict, so that published weights fit as they are.
    """

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1), False)
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1), False)

    def forward(self, image: Tensor) -> Tensor:
        """Return normalised images for images [B, 3, H, W] in [0, 1]."""
        return (image - self.mean) / self.std


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with batch norm, and a shortcut past them.

    Args:
        before: Channels of the input.
        after: Channels of the output.
        stride: Of the first convolution; a shortcut of another shape is a 1x1 convolution.

    Reference:
        He et al. (CVPR 2016), 3.2 and Figure 5 left.
    """

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = (
            nn.Sequential(
                nn.Conv2d(before, after, 1, stride=stride, bias=False), nn.BatchNorm2d(after)
            )
            if stride != 1 or before != after
            else None
        )

    def forward(self, features: Tensor) -> Tensor:
        """Return [B, after, H', W'] for features [B, before, H, W]; H' = H / stride, upwards."""
        shortcut = features
        if self.downsample is not None:
            shortcut = self.downsample(features)
        hidden = self.relu(self.bn1(self.conv1(features)))
        hidden = self.bn2(self.conv2(hidden))
        return self.relu(hidden.add_(shortcut))  # type: ignore[no-any-return]


def stage(before: int, after: int, stride: int) -> nn.Sequential:
    """Make one of the four layers of ResNet-18: two blocks, the first of which may shrink.

    Args:
        before: Channels of the input.
        after: Channels of the output.
        stride: Of the first block.

    Returns:
        The layer.
    """
    return nn.Sequential(BasicBlock(before, after, stride), BasicBlock(after, after, 1))


class Trunk(nn.Module):
    """The stem and layers 1 to 3 of ResNet-18.

    Args:
        stem: imagenet (7x7 of stride 2, then max pooling) or small: 3x3 of stride 1 and no
            pooling, for images of some 48 pixels, whose features would be down to 3x3 otherwise;
            or pooled: small with imagenet's max pooling, at a quarter of small's cost.
        width: Channels of the stem; 64 in ResNet-18.

    Attributes:
        channels: Channels of the output: four times the width.
        stride: Pixels of the input to a pixel of the output.

    Reference:
        He et al. (CVPR 2016), Table 1; the small stem is that of its 4.2 (CIFAR-10).
    """

    def __init__(self, stem: Stem = "imagenet", width: int = 64) -> None:
        super().__init__()
        self.conv1 = (
            nn.Conv2d(3, width, 7, stride=2, padding=3, bias=False)
            if stem == "imagenet"
            else nn.Conv2d(3, width, 3, padding=1, bias=False)
        )
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.Identity() if stem == "small" else nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = stage(width, width, 1)
        self.layer2 = stage(width, 2 * width, 2)
        self.layer3 = stage(2 * width, 4 * width, 2)
        self.channels = 4 * width
        self.stride = {"imagenet": 16, "small": 4, "pooled": 8}[stem]
        initialise(self)

    def forward(self, image: Tensor) -> Tensor:
        """Return [B, 4 * width, H / stride, W / stride], upwards, of normalised [B, 3, H, W]."""
        return self.maps(image)[-1]

    def maps(self, image: Tensor) -> list[Tensor]:
        """Return what layers 1, 2 and 3 emit for normalised images [B, 3, H, W]."""
        # A stem and its pooling take half the time channels-last (benchmarks/pcnn.py).
        image = image.contiguous(memory_format=memory_format(self))
        hidden = [self.maxpool(self.relu(self.bn1(self.conv1(image))))]
        for layer in (self.layer1, self.layer2, self.layer3):
            hidden.append(layer(hidden[-1]))
        return hidden[1:]


class ResNet18(Trunk):
    """ResNet-18.

    Args:
        num_classes: Number of classes K.
        stem: See :class:`Trunk`.
        width: Channels of the stem; 64 in the paper.

    Reference:
        He et al. (CVPR 2016), Table 1.
    """

    def __init__(self, num_classes: int, stem: Stem = "imagenet", width: int = 64) -> None:
        super().__init__(stem, width)
        self.layer4 = stage(4 * width, 8 * width, 2)
        self.fc = nn.Linear(8 * width, num_classes)
        initialise(self.layer4)

    def forward(self, image: Tensor) -> Tensor:
        """Return logits [B, K] of normalised images [B, 3, H, W]."""
        return self.fc(self.features(image))  # type: ignore[no-any-return]

    def features(self, image: Tensor) -> Tensor:
        """Return the pooled features [B, 8 * width] of normalised images [B, 3, H, W]."""
        return self.layer4(super().forward(image)).mean(dim=(2, 3))  # type: ignore[no-any-return]


def initialise(network: nn.Module) -> None:
    """Draw the weights of all convolutions anew, and lay them out for speed.

    Args:
        network: Whose convolutions have no bias.

    Reference:
        He et al. (ICCV 2015), 2.2, by the fan out.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    network.to(memory_format=memory_format(network))  # type: ignore[call-overload]


def memory_format(network: nn.Module) -> torch.memory_format:
    """Choose how a network lays out its images and weights.

    Args:
        network: Whose convolutions are looked at.

    Returns:
        Channels-last, which is faster, unless a convolution has a number of channels that is no
        multiple of 16: torch 2.13 crashed on processors in the gradients of 1x1 convolutions of
        stride 2 from 2 to 12 channels; from 16 and more it never did.
    """
    channels = (
        module.out_channels for module in network.modules() if isinstance(module, nn.Conv2d)
    )
    whole = all(channel % 16 == 0 for channel in channels)
    return torch.channels_last if whole else torch.contiguous_format
