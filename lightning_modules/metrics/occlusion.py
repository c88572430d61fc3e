"""How well faces are recognised, and their flows restored, under each condition of a test."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torchmetrics import MetricCollection

from datamodules.batch import REFERENCE_SIDE
from lightning_modules.metrics.classification import classification_metrics
from lightning_modules.metrics.means import SampleMeans, SampleRows, take
from losses.flow import endpoint_error
from losses.variational import active_units

CLEAN = "clean"
"""The condition of a face that nothing occludes."""


def conditions(regions: Sequence[str]) -> tuple[str, ...]:
    """Name what is measured: clean and every region, as it is, reconstructed, and by the baseline.

    Args:
        regions: Names of the R occlusions.

    Returns:
        C = 3 (1 + R) names, such as ``clean, eyes, clean_reconstructed, eyes_reconstructed,
        clean_baseline, eyes_baseline``.
    """
    suffixes = ("", "_reconstructed", "_baseline")
    return tuple(f"{name}{suffix}" for suffix in suffixes for name in (CLEAN, *regions))


class OcclusionQuality(nn.Module):
    """Recognition and endpoint error under every condition, each sample counted once in each.

    Axis letter: C conditions, in the order of :func:`conditions`. Endpoint errors are in pixels of
    a 128x128 grid, whatever the size of the flows.

    Args:
        regions: Names of the R occlusions, in the order of the batches.
        num_classes: Number of expressions K.
        latent: Number of latent dimensions Z.
        selects: Those of the regions whose confidence counts, so that no checkpoint is chosen by
            what training has not shown.
    """

    def __init__(
        self, regions: Sequence[str], num_classes: int, latent: int, *, selects: Sequence[str]
    ) -> None:
        super().__init__()
        self.regions = tuple(regions)
        self._selects = [conditions(regions).index(f"{name}_reconstructed") for name in selects]
        self.recognition = nn.ModuleDict(
            {name: classification_metrics(num_classes) for name in conditions(regions)}
        )
        # The baseline reconstructs nothing.
        errors = (f"epe_px_{name}" for name in conditions(regions)[1 : 2 * (1 + len(regions))])
        self.means = SampleMeans(("confidence_reconstructed", "epe_px_mean_flow", *errors))
        self.latent_means = SampleRows(latent)

    def update(
        self,
        logits: Tensor,
        flows: Tensor,
        label: Tensor,
        latent_means: Tensor,
        mean_flow: Tensor,
    ) -> None:
        """Count a batch.

        Args:
            logits: The answers under every condition [B, C, K].
            flows: Flows in pixels [B, 2 (1 + R), 2, H, W] of the conditions but those of the
                baseline, which is shown the first of them; the very first is the true flow.
            label: Class indices [B].
            latent_means: Posterior means of the occluded flows [B, R, Z].
            mean_flow: Mean of the true flows of training [1, 2, H, W], in pixels.
        """
        true_flow = flows[:, :1].expand_as(flows)
        errors = endpoint_error(flows.flatten(0, 1), true_flow.flatten(0, 1), reduction="none")
        errors = errors.mean((1, 2)).view(flows.shape[:2])  # (B, 2 (1 + R))
        errors = errors * (REFERENCE_SIDE / flows.shape[-1])
        for index, (name, metrics) in enumerate(self.recognition.items()):
            cast(MetricCollection, metrics).update(logits[:, index], label)
            if 0 < index < flows.shape[1]:
                self.means.update(**{f"epe_px_{name}": errors[:, index]})
        right = logits.softmax(dim=2).gather(2, label.view(-1, 1, 1).expand(-1, logits.shape[1], 1))
        self.means.update(confidence_reconstructed=right[:, self._selects])
        guess = endpoint_error(mean_flow.expand_as(flows[:, 0]), flows[:, 0], reduction="none")
        scale = REFERENCE_SIDE / flows.shape[-1]
        self.means.update(epe_px_mean_flow=scale * guess.mean((1, 2)))
        # The mean over regions: a dimension that only tells which region is hidden carries nothing.
        self.latent_means.update(latent_means.mean(dim=1))

    def summarize(self) -> dict[str, Tensor]:
        """Compute the scalars over all processes, then start anew.

        Returns:
            ``accuracy_<condition>``, ``balanced_accuracy_<condition>``, ``f1_macro_<condition>``
            and, but for clean flows as they are and the baseline, ``epe_px_<condition>``;
            ``accuracy_occluded``, ``accuracy_reconstructed`` and ``accuracy_baseline``, means over
            the regions; ``confidence_reconstructed``, the
            mean probability that Flow-CNN gives the right class after reconstruction;
            ``epe_px_mean_flow``, the error of a reconstruction that is the same for all; and
            ``active_units``.
        """
        summary = {
            f"{quantity}_{name}": value
            for name, metrics in self.recognition.items()
            for quantity, value in take(cast(MetricCollection, metrics)).items()
            if value.ndim == 0
        }
        summary |= take(self.means)
        summary["active_units"] = active_units(take(self.latent_means)).float()
        means = {"": "occluded", "_reconstructed": "reconstructed", "_baseline": "baseline"}
        for suffix, mean in means.items():
            each = [summary[f"accuracy_{region}{suffix}"] for region in self.regions]
            summary[f"accuracy_{mean}"] = torch.stack(each).mean()
        return summary
