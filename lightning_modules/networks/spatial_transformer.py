"""A spatial transformer: features moved to where an affine map, read off them, says."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class SpatialTransformer(nn.Module):
    """Two linear layers that read an affine map, and the bilinear sampling along it.

    The localisation network in front of them is the caller's, who may share its weights.

    Args:
        inputs: Features of a sample that the map is read off: channels times cells.
        hidden: Units between the two layers.
        limit: Largest difference of each of the six numbers of a map from the identity's, in halves
            of the features' side; None lets the map go anywhere, also to where there is nothing.

    Reference:
        Jaderberg et al. (NeurIPS 2015), 3. PCNN, III.C, equation (4).

    Deviation:
        The last layer starts at the identity map, as Jaderberg et al. advise. The code of PCNN
        starts it at random, which throws the features about before anything is learned. The limit
        is not in the paper: without one a training from scratch may learn to sample beside the
        features, where all is zero and no gradient leads back.
    """

    identity: Tensor

    def __init__(self, inputs: int, hidden: int = 32, limit: float | None = None) -> None:
        super().__init__()
        self.limit = limit
        identity = torch.tensor([1.0, 0.0, 0.0, 0.0, 1.0, 0.0])
        self.register_buffer("identity", identity, persistent=False)
        last = nn.Linear(hidden, 6)
        nn.init.zeros_(last.weight)
        with torch.no_grad():
            last.bias.copy_(identity)
        self.localisation = nn.Sequential(
            nn.Flatten(), nn.Linear(inputs, hidden), nn.ReLU(inplace=True), last
        )

    def forward(self, features: Tensor, clues: Tensor) -> Tensor:
        """Move features.

        Args:
            features: [B, C, H, W].
            clues: [B, C', H', W'] with C' * H' * W' the ``inputs``: what the localisation network
                made of them.

        Returns:
            [B, C, H, W]; zero where the map points outside.
        """
        # Half precision could not tell neighbouring cells apart.
        features = features.to(torch.promote_types(features.dtype, torch.float32))
        theta = self.localisation(clues).to(features.dtype)
        if self.limit is not None:
            theta = self.identity + self.limit * ((theta - self.identity) / self.limit).tanh()
        theta = theta.view(-1, 2, 3)
        grid = functional.affine_grid(theta, list(features.shape), align_corners=True)
        return functional.grid_sample(features, grid, align_corners=True)
