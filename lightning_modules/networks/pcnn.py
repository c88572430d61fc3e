"""PCNN: a network on the whole face, one on each of its regions, and what joins them."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from datamodules.errors import UserError
from lightning_modules.networks.regions import Cropping, crop, region_names, stitch
from lightning_modules.networks.resnet import Stem, Trunk, initialise, stage
from lightning_modules.networks.side_by_side import side_by_side
from lightning_modules.networks.spatial_transformer import SpatialTransformer


class FaceAnswer(NamedTuple):
    """What a network says of faces.

    Attributes:
        logits: [B, K] of the whole network (GPN).
        local_logits: [B, K] of the regions alone (LPN), summed over them.
        features: [B, D], what ``logits`` is a linear function of.
    """

    logits: Tensor
    local_logits: Tensor
    features: Tensor


class PCNNNetwork(nn.Module):
    """GFIEB, LFSIEB, MDIM, GPN and LPN.

    Args:
        num_classes: Number of expressions K.
        size: Side of the images in pixels, a multiple of 16.
        regions: Cropping of LFSIEB: five (paper) or another of Table I.
        transformer: Whether MDIM registers the regions' features; False adds them as they are.
        warp_limit: Largest difference of MDIM's affine map from the identity; None has no limit.
        share_layer4: Whether MDIM's localisation network is GPN's layer 4, with its weights.
        share_norms: Whether a shared layer 4 shares its batch norms too. They see the regions'
            features and the sum with the whole face's, which is about twice as large: statistics
            of their mixture fit neither when the network is tested.
        stem: imagenet (paper), small or pooled; see :class:`Trunk`.
        width: Channels of the stem of each trunk; 64 in the paper.

    Raises:
        UserError: If the size is no multiple of 16 or too small to be cut.

    Reference:
        PCNN (Tian et al.), III.A to III.C, Figures 2 and 3.

    Deviation:
        LPN pools regions by their mean, as the code does; the text says maximum. The text speaks
        of a localisation network of MDIM's own; in the code it is GPN's. The code builds seven
        whole ResNets and uses parts of them; here is only what is used.
        On processors the trunks run one after the other: they fill the arithmetic units either
        way, and a grouped convolution of the pairs of equal size was no faster. What does make
        them faster is the layout (``resnet.py``), folded norms (``fused.py``) and bfloat16;
        benchmarks/pcnn.py and benchmarks/against.py measure it. So they do elsewhere, but where a
        CUDA graph of a step is recorded (:func:`side_by_side`).
    """

    def __init__(
        self,
        num_classes: int,
        size: int = 224,
        *,
        regions: Cropping = "five",
        transformer: bool = True,
        warp_limit: float | None = None,
        share_layer4: bool = True,
        share_norms: bool = True,
        stem: Stem = "imagenet",
        width: int = 64,
    ) -> None:
        super().__init__()
        if size < 48 or size % 16:
            raise UserError(
                f"PCNN cuts square images whose side is a multiple of 16 and at least 48, got "
                f"{size}; give a size such as 48, 64, 96, 112 or 224."
            )
        self.size = size
        self.regions = regions
        self.global_trunk = Trunk(stem, width)
        self.region_trunks = nn.ModuleDict(
            {name: Trunk(stem, width) for name in region_names(regions)}
        )
        channels = self.global_trunk.channels
        self.layer4 = stage(channels, 2 * channels, 2)
        cells = -(-size // (2 * self.global_trunk.stride))
        inputs = 2 * channels * cells**2
        self.transformer = SpatialTransformer(inputs, limit=warp_limit) if transformer else None
        own = transformer and not (share_layer4 and share_norms)
        self.mdim_layer4 = stage(channels, 2 * channels, 2) if own else None
        self.fc = nn.Linear(2 * channels, num_classes)
        self.local_fc = nn.ModuleDict(
            {name: nn.Linear(channels, num_classes) for name in self.region_trunks}
        )
        for layer in (self.layer4, self.mdim_layer4):
            if layer is not None:
                initialise(layer)
        if self.mdim_layer4 is not None and share_layer4:
            share_convolutions(self.mdim_layer4, self.layer4)

    def forward(self, image: Tensor) -> FaceAnswer:
        """Classify normalised images [B, 3, size, size].

        Raises:
            UserError: If they are of another size.
        """
        if image.shape[-2:] != (self.size, self.size):
            raise UserError(
                f"This PCNN was built for images of {self.size}x{self.size} pixels, got "
                f"{image.shape[-2]}x{image.shape[-1]}: give model and data the same size."
            )
        cut = crop(image, self.regions, random=self.training)
        whole, *parts = side_by_side(
            [self.global_trunk, *self.region_trunks.values()],
            [image, *(region for row in cut for region in row)],
        )
        features = iter(parts)
        rows = [[next(features) for _ in row] for row in cut]
        local = torch.stack(
            [
                fc(part.mean(dim=(2, 3)))
                for fc, part in zip(self.local_fc.values(), parts, strict=True)
            ]
        ).sum(dim=0)
        joined = whole + self._register(stitch(rows, (whole.shape[2], whole.shape[3])))
        pooled = self.layer4(joined).mean(dim=(2, 3))
        return FaceAnswer(self.fc(pooled), local, pooled)

    def backbones(self) -> list[nn.Module]:
        """Return the parts that carry the names of ResNet-18: all trunks and each layer 4."""
        layers = [layer for layer in (self.layer4, self.mdim_layer4) if layer is not None]
        return [
            self.global_trunk,
            *self.region_trunks.values(),
            *(nn.ModuleDict({"layer4": layer}) for layer in layers),
        ]

    def _register(self, stitched: Tensor) -> Tensor:
        """Equation (4) without its sum."""
        if self.transformer is None:
            return stitched
        localiser = self.layer4 if self.mdim_layer4 is None else self.mdim_layer4
        return self.transformer(stitched, localiser(stitched))  # type: ignore[no-any-return]


def share_convolutions(layer: nn.Module, source: nn.Module) -> None:
    """Give the convolutions of a layer the weights of another layer of the same shape.

    Args:
        layer: Whose convolutions get other weights; its batch norms stay its own.
        source: Whose weights are used.

    Reference:
        Chang et al. (CVPR 2019), Domain-Specific Batch Normalization for Unsupervised Domain
        Adaptation, 3.2: one network for two distributions, with the norms of each.
    """
    for module, other in zip(layer.modules(), source.modules(), strict=True):
        if isinstance(module, nn.Conv2d) and isinstance(other, nn.Conv2d):
            module.weight = other.weight
