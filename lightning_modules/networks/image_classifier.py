"""e_FER and the independent judge of faces: which expression does a face show?"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from datamodules.errors import UserError
from lightning_modules.networks.fitted_classifier import FittedClassifier


class ImageClassifier(FittedClassifier):
    """Four blocks of 3x3 convolution of stride 2, batch norm and ReLU, then one linear layer.

    Args:
        num_classes: Number of expressions K.
        size: Side of the images in pixels; at least 16.
        width: Channels of the first block, doubled by the others.

    Raises:
        UserError: If ``size`` is below 16.

    Reference:
        eMotion-GAN, III.C b).

    Deviation:
        The paper judges its faces by DMUE, pre-trained on AffectNet, which may not be had. This
        small network learns the training fold's own faces instead.
    """

    def __init__(self, num_classes: int, size: int = 128, *, width: int = 16) -> None:
        super().__init__()
        if size < 16:
            raise UserError(f"e_FER needs faces of at least 16x16 pixels, got {size}x{size}.")
        channels = [3, *(width * 2**level for level in range(4))]
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(after),
                nn.ReLU(inplace=True),
            )
            for before, after in pairwise(channels)
        )
        cells = (size + 15) // 16
        # Where a feature lies tells expressions apart: a mean over the whole map would lose it.
        window = max(1, cells // 4)
        self.classifier = nn.Sequential(
            nn.AvgPool2d(window),
            nn.Flatten(),
            nn.Dropout(0.5),
            nn.Linear(channels[-1] * (cells // window) ** 2, num_classes),
        )

    def forward(self, image: Tensor) -> Tensor:
        """Return logits [B, K] of images [B, 3, size, size] in [0, 1]."""
        return self.classifier(self.features(image)[-1])  # type: ignore[no-any-return]

    def features(self, image: Tensor) -> list[Tensor]:
        """Return what each block emits for images [B, 3, H, W] in [0, 1]: four maps."""
        maps = [4 * image - 2]
        for block in self.blocks:
            maps.append(block(maps[-1]))
        return maps[1:]

    def mirror(self, sample: Tensor) -> Tensor:
        """Return what images [B, 3, H, W] are in a mirror."""
        return sample.flip(-1)
