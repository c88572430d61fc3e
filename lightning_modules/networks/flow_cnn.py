"""Flow-CNN: which expression does a flow show? D_E of eMotion-GAN, classifier of SSIM-VAE."""

from __future__ import annotations

from torch import Tensor, nn

from datamodules.errors import UserError

_CHANNELS = (8, 32, 128)


class FlowCNN(nn.Module):
    """Three blocks of convolution, batch norm, ReLU and max pooling, then an MLP.

    Args:
        num_classes: Number of expressions K.
        size: Side of the flows in pixels, 24 to 128 in the papers; at least 16.
        dropout: Share of units that the MLP drops in training.

    Raises:
        UserError: If ``size`` is below 16.

    Reference:
        eMotion-GAN, III.B c); SSIM-VAE, 4.2, after Allaert et al. (arXiv 1904.11592).

    Deviation:
        Neither paper gives sizes. Channels (8, 32, 128) and kernels (3, 5, 4) are those of the
        eMotion-GAN code; here odd kernels and padding keep the map's size. Where 8x8 cells or more
        are left they are averaged down to between 4x4 and 7x7, so that the network stays near
        1 M parameters (the code has 11.2 M) and a face that sits a few pixels aside reads the
        same.
    """

    def __init__(self, num_classes: int, size: int = 128, *, dropout: float = 0.5) -> None:
        super().__init__()
        if size < 16:
            raise UserError(f"Flow-CNN needs flows of at least 16x16 pixels, got {size}x{size}.")
        layers: list[nn.Module] = []
        channels = 2
        for out_channels, kernel in zip(_CHANNELS, (3, 5, 3), strict=True):
            layers += [
                nn.Conv2d(channels, out_channels, kernel, padding=kernel // 2, bias=False),
                nn.BatchNorm2d(out_channels),
                nn.ReLU(inplace=True),
                nn.MaxPool2d(2),
            ]
            channels = out_channels
        cells = size // 8
        # A fixed window instead of adaptive pooling, whose CUDA gradient is not deterministic.
        window = max(1, cells // 4)
        self.features = nn.Sequential(*layers, nn.AvgPool2d(window))
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Dropout(dropout),
            nn.Linear(channels * (cells // window) ** 2, 256),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(256, num_classes),
        )

    def forward(self, flow: Tensor) -> Tensor:
        """Return logits [B, K] of encoded flows [B, 2, size, size]."""
        return self.classifier(self.features(flow))  # type: ignore[no-any-return]
