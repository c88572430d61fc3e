"""G_F: from the flow of a moving head to the flow of its face alone."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lightning_modules.networks.blocks import check_size, decoder, encoder


class FlowGenerator(nn.Module):
    """Encoder and decoder that filter head motion out of an encoded flow.

    Four downsampling and two residual blocks, then five residual and four upsampling blocks. At
    width 64: 160.7 M parameters and 24.2 GMACs a sample of 128x128, of which :class:`Upsample`
    leaves 16.3.

    Args:
        width: Channels of the stem, doubled by every downsampling block.

    Reference:
        eMotion-GAN, III.B a).
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.encoder = encoder(2, width, downsamplings=4, residuals=2)
        self.decoder = decoder(16 * width, 2, upsamplings=4, residuals=5)

    def forward(self, posed: Tensor) -> Tensor:
        """Return the encoded frontal flow of encoded posed flows [B, 2, H, W]."""
        check_size(posed.shape[-2:], 16)
        return torch.tanh(self.decoder(self.encoder(posed)))
