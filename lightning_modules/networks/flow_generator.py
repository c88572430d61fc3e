"""G_F: from the flow of a moving head to the flow of its face alone."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lightning_modules.networks.blocks import Blocks, check_size, decoder, encoder

PAPER_BLOCKS = Blocks(4, 2, 5)


class FlowGenerator(nn.Module):
    """Encoder and decoder that filter head motion out of an encoded flow.

    In the paper four downsampling and two residual blocks, then five residual and four upsampling
    blocks. At width 64: 160.7 M parameters and 24.2 GMACs a sample of 128x128, of which
    :class:`Upsample` leaves 16.3.

    Args:
        width: Channels of the stem, doubled by every downsampling block.
        blocks: How many blocks it has.
        published: Whether it is to hold the authors' weights; see :class:`Upsample`.

    Reference:
        eMotion-GAN, III.B a).
    """

    def __init__(
        self, width: int = 64, blocks: Blocks = PAPER_BLOCKS, *, published: bool = False
    ) -> None:
        super().__init__()
        samplings, encoding, decoding = blocks
        self.multiple = 2**samplings
        self.encoder = encoder(2, width, downsamplings=samplings, residuals=encoding)
        self.decoder = decoder(
            self.multiple * width,
            2,
            upsamplings=samplings,
            residuals=decoding,
            published=published,
        )

    def forward(self, posed: Tensor) -> Tensor:
        """Return the encoded frontal flow of encoded posed flows [B, 2, H, W]."""
        check_size(posed.shape[-2:], self.multiple)
        return torch.tanh(self.decoder(self.encoder(posed)))
