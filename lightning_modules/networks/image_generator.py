"""G_W: a neutral face and a flow to the face after that motion."""

from __future__ import annotations

from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from datamodules.batch import REFERENCE_SIDE
from lightning_modules.networks.blocks import Blocks, check_size, decoder, encoder
from lightning_modules.networks.codec import FlowCodec
from lightning_modules.networks.warp import warp
from losses.flow import vector_length

PAPER_BLOCKS = Blocks(3, 3, 3)
ImagePrior = Literal["none", "warp"]

# Motion at which 63 % of a correction pass, and how far around it; in pixels of a 128x128 grid.
_MOTION, _REACH = 0.5, 4


class ImageGenerator(nn.Module):
    """Identity encoder, motion encoder and a joint decoder over both.

    In the paper three downsampling and three residual blocks in each encoder, three residual and
    three upsampling blocks in the decoder. At width 64: 107.7 M parameters and 65.8 GMACs a sample
    of 128x128, of which :class:`Upsample` leaves 40.6.

    Args:
        codec: Decodes the flow where the prior moves pixels along it.
        width: Channels of the stems, doubled by every downsampling block.
        blocks: How many blocks it has.
        prior: ``none`` (paper): the decoder emits the face. ``warp``: see Deviation.

    Reference:
        eMotion-GAN, III.C a).

    Deviation:
        Images enter and leave in [0, 1] and meet the network's tanh in [-1, 1] inside.
        With the prior ``warp`` the identity encoder sees the neutral face already moved along the
        flow, and the decoder adds to the lightness of that face, one value for all three channels,
        so that it paints no colour; about nothing at the start, and never where nothing moves.
        The network of the paper must learn to draw faces first, which takes hours; this one begins
        with a face.
    """

    def __init__(
        self,
        codec: FlowCodec,
        width: int = 64,
        blocks: Blocks = PAPER_BLOCKS,
        *,
        prior: ImagePrior = "none",
    ) -> None:
        super().__init__()
        samplings, encoding, decoding = blocks
        self.multiple = 2**samplings
        self.codec = codec
        self.prior = prior
        self.identity_encoder = encoder(3, width, downsamplings=samplings, residuals=encoding)
        self.motion_encoder = encoder(2, width, downsamplings=samplings, residuals=encoding)
        self.decoder = decoder(
            2 * self.multiple * width,
            1 if prior == "warp" else 3,
            upsamplings=samplings,
            residuals=decoding,
            published=codec.representation == "authors",
        )
        if prior == "warp":
            last = cast(nn.Conv2d, self.decoder[-1])
            nn.init.normal_(last.weight, std=1e-3)
            nn.init.zeros_(cast(Tensor, last.bias))

    def forward(self, image: Tensor, flow: Tensor) -> Tensor:
        """Draw the face after the motion.

        Args:
            image: Neutral faces [B, 3, H, W] in [0, 1].
            flow: Encoded flows [B, 2, H, W].

        Returns:
            Faces [B, 3, H, W] in [0, 1].
        """
        check_size(image.shape[-2:], self.multiple)
        if self.prior == "warp":
            motion = self.codec.decode(flow)
            image = warp(image, motion)
        features = torch.cat((self.identity_encoder(2 * image - 1), self.motion_encoder(flow)), 1)
        drawn = torch.tanh(self.decoder(features))
        if self.prior == "warp":
            return (image + _moving(motion) * drawn).clamp(0, 1)
        return (drawn + 1) / 2


def _moving(flow: Tensor) -> Tensor:
    """Tell where a flow [B, 2, H, W] in pixels moves anything: [B, 1, H, W] from 0 to 1."""
    pixel = REFERENCE_SIDE / flow.shape[-1]
    length = pixel * vector_length(flow)[:, None]
    # What opens, a mouth, lies beside what moves.
    reach = round(_REACH / pixel)
    near = functional.max_pool2d(length, 2 * reach + 1, stride=1, padding=reach)
    return 1 - torch.exp(-(near / _MOTION).square())
