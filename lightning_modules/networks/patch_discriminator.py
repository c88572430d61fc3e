"""D_P: does each patch of a flow look like facial motion?"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class PatchDiscriminator(nn.Module):
    """PatchGAN over encoded flows, with one logit a patch of 8x8 pixels.

    Three blocks of 4x4 convolution of stride 2, instance norm and leaky ReLU of slope 0.2, then
    one convolution to a map of logits.

    Args:
        width: Channels of the first block, doubled by the others.
        conditional: Whether the posed flow is shown beside the frontal one.

    Reference:
        eMotion-GAN, III.B b) and equation (1); Isola et al. (CVPR 2017), III.B.

    Deviation:
        Equation (1) conditions the fake half on the posed flow and the real half on nothing; the
        authors' code conditions neither, and neither do we by default. ``conditional`` conditions
        both. The first block has no norm, as in DCGAN, which the paper follows.
    """

    def __init__(self, width: int = 64, *, conditional: bool = False) -> None:
        super().__init__()
        self.conditional = conditional
        self.blocks = nn.Sequential(
            nn.Conv2d(4 if conditional else 2, width, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(width, 2 * width, 4, stride=2, padding=1, bias=False),
            nn.InstanceNorm2d(2 * width),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(2 * width, 4 * width, 4, stride=2, padding=1, bias=False),
            nn.InstanceNorm2d(4 * width),
            nn.LeakyReLU(0.2, inplace=True),
            # A kernel of even size keeps the size of the map under one more row and column.
            nn.ZeroPad2d((2, 1, 2, 1)),
            nn.Conv2d(4 * width, 1, 4),
        )

    def forward(self, flow: Tensor, posed: Tensor) -> Tensor:
        """Judge flows.

        Args:
            flow: Encoded frontal flows [B, 2, H, W], real or generated.
            posed: Encoded posed flows [B, 2, H, W]; read only where conditional.

        Returns:
            Logits [B, 1, H / 8, W / 8], above 0 for real.
        """
        seen = torch.cat((flow, posed), dim=1) if self.conditional else flow
        return self.blocks(seen)  # type: ignore[no-any-return]
