"""The independent judge of faces: which expression does a face show to one who trained nobody?"""

from __future__ import annotations

from torch import Tensor

from lightning_modules.networks.fitted_classifier import FittedClassifier
from lightning_modules.networks.resnet import ResNet18


class ImageJudge(FittedClassifier):
    """A small ResNet-18 that scores faces and never trains a generator.

    A generator learns what pleases e_FER, and networks of one kind are pleased by the same
    artefacts. This one has another architecture, with shortcuts and a mean over all places before
    its classifier, and weights of its own.

    Args:
        num_classes: Number of expressions K.
        width: Channels of its stem.
    """

    def __init__(self, num_classes: int, *, width: int = 16) -> None:
        super().__init__()
        self.network = ResNet18(num_classes, "pooled", width)

    def forward(self, image: Tensor) -> Tensor:
        """Return logits [B, K] of images [B, 3, H, W] in [0, 1]."""
        return self.network(4 * image - 2)  # type: ignore[no-any-return]

    def mirror(self, sample: Tensor) -> Tensor:
        """Return what images [B, 3, H, W] are in a mirror."""
        return sample.flip(-1)
