"""The independent judge of flows: which expression does a flow show to one who trained nobody?"""

from __future__ import annotations

from torch import Tensor

from datamodules.batch import REFERENCE_SIDE, mirror_flow
from lightning_modules.networks.fitted_classifier import FittedClassifier
from lightning_modules.networks.flow_cnn import FlowCNN


class FlowJudge(FittedClassifier):
    """A Flow-CNN that scores flows and never trains a generator.

    D_E is critic and evaluator at once: a generator may learn what pleases it. This network has
    weights of its own and reads vectors in pixels, so that neither the representation nor the clip
    of the method that it judges reaches it.

    Args:
        num_classes: Number of expressions K.
        size: Side of the flows in pixels.
    """

    def __init__(self, num_classes: int, size: int = 128) -> None:
        super().__init__()
        self.size = size
        self.network = FlowCNN(num_classes, size)

    def forward(self, flow: Tensor) -> Tensor:
        """Return logits [B, K] of flows [B, 2, size, size] in pixels of their own grid."""
        return self.network(flow * (REFERENCE_SIDE / self.size))  # type: ignore[no-any-return]

    def mirror(self, sample: Tensor) -> Tensor:
        """Return what flows [B, 2, H, W] are in a mirror: what moved right moves left."""
        return mirror_flow(sample)
