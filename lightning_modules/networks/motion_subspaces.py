"""What a face and what a head can do, learnt as two linear subspaces of flows."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from datamodules.batch import mirror_flow
from lightning_modules.networks.head_motion import face_window

_FACIAL, _HEAD = 60, 100  # components
# Variance in square pixels of a 128x128 grid, with which a pixel departs from both subspaces.
_NOISE = 2.0
# Weight of what lies around the head; the face weighs 1.
_AROUND = 0.05


class MotionSubspaces(nn.Module):
    """Splits the flow of a moving face into what the face does and what the head does.

    Frontal flows and head motions, which are what posed flows have beyond frontal ones, are both
    taken for Gaussian with the principal components of the training pairs and of their mirror
    images. The most probable pair of motions, given their sum and a little noise, is then a linear
    function of the posed flow, and costs two products of matrices.

    Args:
        size: Side of the flows in pixels.

    Attributes:
        fitted: Whether there are components; without them both motions are zero.

    Reference:
        Black, Yacoob, Jepson, Fleet, Learning parameterized models of image motion (CVPR 1997), for
        subspaces of facial flows; Bishop, Pattern recognition and machine learning, equation
        (2.116), for the most probable coefficients.
    """

    fitted: Tensor
    mean: Tensor
    components: Tensor
    covariance: Tensor
    window: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        count, length = _FACIAL + _HEAD, 2 * size * size
        self.register_buffer("fitted", torch.tensor(False))
        self.register_buffer("mean", torch.zeros(length))
        self.register_buffer("components", torch.zeros(count, length))
        self.register_buffer("covariance", torch.zeros(count, count))
        window = _AROUND + (1 - _AROUND) * face_window(size, size)
        self.register_buffer("window", window.flatten().repeat(2), persistent=False)

    def forward(self, posed: Tensor) -> tuple[Tensor, Tensor]:
        """Split posed flows.

        Args:
            posed: Flows [B, 2, size, size] in pixels.

        Returns:
            float32 facial and head motion in pixels, each of that shape. No gradient.
        """
        with torch.no_grad(), torch.autocast(posed.device.type, enabled=False):
            centred = posed.float().flatten(1) - self.mean
            coefficients = (self.window * centred) @ self.components.T @ self.covariance  # (B, R)
            facial = self.mean + coefficients[:, :_FACIAL] @ self.components[:_FACIAL]
            head = coefficients[:, _FACIAL:] @ self.components[_FACIAL:]
            return facial.view(posed.shape), head.view(posed.shape)

    def fit(self, frontal: Tensor, posed: Tensor) -> None:
        """Find the components.

        Args:
            frontal: Frontal flows of training [N, 2, size, size] in pixels.
            posed: Posed flows of the same moments.
        """
        with torch.no_grad():
            facial = torch.cat((frontal, mirror_flow(frontal))).flatten(1)
            head = torch.cat((posed - frontal, mirror_flow(posed - frontal))).flatten(1)
            mean = facial.mean(0)
            components = torch.cat((_principal(facial - mean, _FACIAL), _principal(head, _HEAD)))
            noise = _NOISE * (self.size / 128) ** 2
            precision = (self.window * components) @ components.T / noise
            precision += torch.eye(len(components), device=components.device)
            self.mean.copy_(mean)
            self.components.copy_(components)
            self.covariance.copy_(torch.linalg.inv(precision) / noise)
            self.fitted.fill_(True)


def _principal(samples: Tensor, count: int) -> Tensor:
    """Return principal components [count, D] of samples [N, D], as long as one deviation.

    Where there are fewer, the last are zero. The eigenvectors of the N x N Gram matrix cost less
    than those of D x D covariances.
    """
    values, vectors = torch.linalg.eigh(samples @ samples.T)
    values, vectors = values.flip(0)[:count], vectors.flip(1)[:, :count]
    # A direction in which nothing varies stays out.
    real = values > 1e-6 * values[0].clamp(min=1e-12)
    unit = (vectors.T @ samples) / values.clamp(min=1e-12).sqrt().unsqueeze(1)
    components = samples.new_zeros(count, samples.shape[1])
    components[: len(values)] = (
        real.unsqueeze(1) * unit * (values.clamp(min=0) / len(samples)).sqrt().unsqueeze(1)
    )
    return components
