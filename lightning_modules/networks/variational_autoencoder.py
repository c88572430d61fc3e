"""The autoencoder of SSIM-VAE: from the flow of an occluded face to that of the whole face."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal, NamedTuple, cast

import torch
from torch import Tensor, nn

from datamodules.errors import UserError

ReconstructionPrior = Literal["none", "residual"]


class Posterior(NamedTuple):
    """A normal distribution over the latent space for each sample."""

    mean: Tensor
    """[B, Z]."""
    log_variance: Tensor
    """[B, Z]."""

    def sample(self) -> Tensor:
        """Draw z = mean + exp(0.5 log_variance) * eps, differentiable in both: [B, Z]."""
        deviation = (0.5 * self.log_variance).exp()
        return self.mean + deviation * torch.randn_like(deviation)


class Reconstruction(NamedTuple):
    """What an autoencoder makes of flows.

    Attributes:
        flow: [B, 2, size, size] in [0, 1].
        posterior: What it was made from.
    """

    flow: Tensor
    posterior: Posterior


class VariationalAutoencoder(nn.Module):
    """Convolutions down to a normal distribution, transposed convolutions up from a vector.

    Every encoder block is a 4x4 convolution of stride 2, batch norm and ReLU; they halve the flow
    down to 4 to 7 pixels a side. Two linear layers give mean and log-variance. The decoder mirrors
    the encoder; its last layer has a sigmoid in place of batch norm and ReLU. At size 64 and 64
    latent dimensions: 2.2 M parameters at width 32, 7.1 M at width 64.

    Args:
        size: Side of the flows in pixels; at least 8, and divisible by 2 as often as it is halved
            (24, 48, 64, 96 and 128 are).
        latent: Number of latent dimensions Z.
        width: Channels of the first block, doubled by each of the next three.
        prior: ``none`` (paper): the decoder emits the flow. ``residual``: see Deviation.

    Raises:
        UserError: If the size cannot be halved.

    Reference:
        SSIM-VAE, 3.2.1 to 3.2.3 and Figure 6.

    Deviation:
        The paper gives neither channels nor latent dimensions, only that VAE and Flow-CNN take
        34 MB together (4.3.3); at width 64 they take 30.7 MB here.
        With the prior ``residual`` what the decoder emits is added to the occluded flow, before the
        sigmoid and from about nothing at the start. All that was visible then need not pass the
        latent space, which is left with what was hidden: some twenty epochs do what takes the
        paper's network hundreds.
    """

    def __init__(
        self,
        size: int = 64,
        latent: int = 64,
        width: int = 32,
        *,
        prior: ReconstructionPrior = "none",
    ) -> None:
        super().__init__()
        self.prior = prior
        halvings = size.bit_length() - 3  # until 4 to 7 pixels are left
        if halvings < 1 or size % 2**halvings:
            raise UserError(
                f"The autoencoder halves its flows down to 4 to 7 pixels, which {size} pixels "
                "do not allow; take a size like 24, 48, 64, 96 or 128."
            )
        channels = [width * 2 ** min(level, 3) for level in range(halvings)]
        cells = size >> halvings
        self.encoder = nn.Sequential(
            *(
                _halve(before, after)
                for before, after in zip([2, *channels[:-1]], channels, strict=True)
            ),
            nn.Flatten(),
        )
        self.mean = nn.Linear(channels[-1] * cells**2, latent)
        self.log_variance = nn.Linear(channels[-1] * cells**2, latent)
        channels.reverse()
        last = nn.ConvTranspose2d(channels[-1], 2, 4, stride=2, padding=1)
        if prior == "residual":
            nn.init.normal_(last.weight, std=1e-3)
            nn.init.zeros_(cast(Tensor, last.bias))
        self.decoder = nn.Sequential(
            nn.Linear(latent, channels[0] * cells**2),
            nn.Unflatten(1, (channels[0], cells, cells)),
            *(_double(before, after) for before, after in pairwise(channels)),
            last,
        )

    def forward(self, flow: Tensor, *, sampled: bool = False) -> Reconstruction:
        """Reconstruct flows.

        Args:
            flow: [B, 2, size, size] in [0, 1], 0.5 for no motion.
            sampled: Whether from samples of their posteriors, as in training, or from the means.
        """
        posterior = self.encode(flow)
        latent = posterior.sample() if sampled else posterior.mean
        return Reconstruction(self.decode(latent, flow), posterior)

    def encode(self, flow: Tensor) -> Posterior:
        """Return the posterior of flows [B, 2, size, size] in [0, 1], 0.5 for no motion."""
        features = self.encoder(flow)
        return Posterior(self.mean(features).float(), self.log_variance(features).float())

    def decode(self, latent: Tensor, flow: Tensor) -> Tensor:
        """Reconstruct flows.

        Args:
            latent: Latent vectors [B, Z].
            flow: The flows [B, 2, size, size] in [0, 1] that were encoded; read only where the
                prior is residual.

        Returns:
            Flows [B, 2, size, size] in [0, 1].
        """
        # In bfloat16 the steps around 0.5 are 1/256: half a percent of the clip. Logits are near 0
        # there, where they are fine.
        logits = self.decoder(latent).float()
        if self.prior == "residual":
            logits = logits + torch.logit(flow, eps=1e-4)
        return torch.sigmoid(logits)


def _halve(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 4, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )


def _double(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.ConvTranspose2d(in_channels, out_channels, 4, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )
