"""Whether a generator draws many different faces, and how far their features are from real ones."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchmetrics import SumMetric
from torchmetrics.image.fid import FrechetInceptionDistance

from lightning_modules.metrics.means import SampleMeans, take
from lightning_modules.svm.gram import squared_distances
from losses.ssim import ssim_loss

_WINDOW = 11


class GenerationQuality:
    """Mode collapse and FID of generated faces against the real ones of a part.

    FID is defined on features of an Inception network. This one is not: its name carries the
    network whose features it uses, and it can only be compared with values of the very same
    network, never with published ones.

    Args:
        num_features: Length F of the feature vectors.
        keep: At most so many real images are kept to compare pixels with.
        device: Where to compute.

    Reference:
        Alharbawee and Pugeault, Table VII and Figure 9.

    Deviation:
        The paper takes Inception's features, and says nothing of how it looks for mode collapse.
        There is no Inception Score, which needs the class probabilities of a network: those of a
        support vector machine were calibrated on real faces and mean nothing on generated ones.
    """

    def __init__(self, num_features: int, keep: int, device: torch.device) -> None:
        self._distance = FrechetInceptionDistance(feature=_Features(num_features)).to(device)
        self._counts = SumMetric().to(device)
        names = ("diversity", "ssim_generated", "ssim_real")
        self._means = SampleMeans(names).to(device)
        self._keep = keep
        self._real: list[Tensor] = []
        self._generated: list[Tensor] = []

    def add_real(self, image: Tensor, features: Tensor) -> None:
        """Count real faces.

        Args:
            image: Images [B, C, H, W] in [0, 1].
            features: What the network makes of them [B, F].
        """
        self._distance.update(features, real=True)
        room = self._keep - sum(map(len, self._real))
        self._real.append(image[: max(0, room)].cpu())

    def add_generated(self, image: Tensor, features: Tensor) -> None:
        """Count generated faces.

        Args:
            image: Images [B, C, H, W] in [0, 1].
            features: What the network makes of them [B, F].
        """
        self._distance.update(features, real=False)
        self._generated.append(image.cpu())

    def summarize(self, network: str) -> dict[str, Tensor]:
        """Compute what can be computed. Every process must call it, whatever it has seen.

        Args:
            network: Name of the network of the features.

        Returns:
            ``fid_<network>`` over all processes; and, as means over those processes that have two
            images of each kind, ``diversity`` (see :func:`nearest_neighbour_diversity`),
            ``ssim_generated`` and ``ssim_real`` (see :func:`pairwise_ssim`). All processes have
            the same, and none of those that need more images than there are.
        """
        count = min(sum(map(len, self._real)), sum(map(len, self._generated)))
        if count >= 2:
            real, generated = torch.cat(self._real), torch.cat(self._generated)
            self._means.update(ssim_generated=pairwise_ssim(generated))
            self._means.update(ssim_real=pairwise_ssim(real))
            spread = nearest_neighbour_diversity(real[:count])
            if spread > 0:
                own = nearest_neighbour_diversity(generated[:count])
                self._means.update(diversity=own / spread)
        self._counts.update(count)
        summary: dict[str, Tensor] = take(self._means)
        if take(self._counts) >= 2:
            summary[f"fid_{network}"] = self._distance.compute().float()
        return summary


class _Features(nn.Module):
    """Stands where torchmetrics has a network: it is given features, and passes them on."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features

    def forward(self, features: Tensor) -> Tensor:
        """Return the features."""
        return features


def nearest_neighbour_diversity(image: Tensor) -> Tensor:
    """Return how far images are from their nearest neighbours among themselves.

    Divided by the value of as many real faces it is near 1 for a generator that draws as many
    different faces as there are, and near 0 for one that draws few faces over and over.

    Args:
        image: At least two images [N, C, H, W] in [0, 1].

    Returns:
        Mean over the images of the root mean squared difference of the nearest other, from 0 to 1.
    """
    distances = squared_distances(image.flatten(1))
    distances.fill_diagonal_(torch.inf)
    nearest = distances.amin(dim=1) / image[0].numel()
    return nearest.sqrt().mean()


def pairwise_ssim(image: Tensor) -> Tensor:
    """Return the mean structural similarity of neighbours in a batch; 1 if all images are one.

    Args:
        image: At least two images [N, C, H, W] in [0, 1], in random order.
    """
    total = torch.zeros((), dtype=torch.float64)
    others = image.roll(1, dims=0)
    for one, other in zip(torch.split(image, 256), torch.split(others, 256), strict=True):
        loss = ssim_loss(one, other, window_size=_WINDOW, reduction="none")
        total += (1 - loss).mean(dim=(1, 2, 3)).sum().double()
    return total / len(image)
