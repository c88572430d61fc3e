"""How near a flow, and the face that it animates, come to the true frontal ones."""

from __future__ import annotations

import warnings
from typing import cast

import torch
from kornia.metrics import ssim
from torch import Tensor, nn
from torchmetrics import Metric

from losses.flow import endpoint_error


class FrontalizationQuality(Metric):
    """Endpoint error and recognition of flows, SSIM and RMSE of faces, as means over samples.

    The endpoint error is in pixels of a 128x128 grid, whatever the size of the flows, so that runs
    of different sizes compare. SSIM is the mean of its map (Gaussian window of 11) over an image;
    RMSE is the root of the mean squared difference over an image, in grey levels 0 to 255. Both
    are then averaged over images.
    Sums and counts are kept, so that several processes add up to the same numbers.

    Reference:
        eMotion-GAN, V.A, Tables I and II.
    """

    full_state_update = False
    epe_px: Tensor
    accuracy: Tensor
    ssim: Tensor
    rmse: Tensor
    flows: Tensor
    faces: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name in ("epe_px", "accuracy", "ssim", "rmse", "flows", "faces"):
            self.add_state(name, torch.tensor(0.0), dist_reduce_fx="sum")

    def update(
        self,
        flow: Tensor,
        true_flow: Tensor,
        logits: Tensor,
        label: Tensor,
        face: Tensor | None = None,
        apex: Tensor | None = None,
    ) -> None:
        """Count a batch.

        Args:
            flow: Flows [B, 2, H, W] in pixels.
            true_flow: Frontal flows [B, 2, H, W] in pixels.
            logits: What Flow-CNN says of ``flow`` [B, K].
            label: Class indices [B].
            face: Faces [B, 3, H, W] in [0, 1] that ``flow`` animated, where they are to be judged.
            apex: True faces of the same shape, with ``face``.
        """
        self.flows += len(flow)
        error = endpoint_error(flow, true_flow, reduction="none").mean((1, 2))
        self.epe_px += error.sum() * 128 / flow.shape[-1]
        self.accuracy += (logits.argmax(dim=1) == label).sum()
        if face is not None and apex is not None:
            face, apex = face.float(), apex.float()
            self.faces += len(face)
            self.ssim += ssim(face, apex, window_size=11).mean((1, 2, 3)).sum()
            self.rmse += (255 * (face - apex)).square().mean((1, 2, 3)).sqrt().sum()

    def compute(self) -> dict[str, Tensor]:
        """Return the means by name, without those of which no process counted anything."""
        means: dict[str, Tensor] = {}
        if self.flows:
            means |= {"epe_px": self.epe_px / self.flows, "accuracy": self.accuracy / self.flows}
        if self.faces:
            means |= {"ssim": self.ssim / self.faces, "rmse": self.rmse / self.faces}
        return means


class QualityTable(nn.Module):
    """A :class:`FrontalizationQuality` for each row of a table.

    Args:
        rows: Names of the rows.
    """

    def __init__(self, rows: tuple[str, ...]) -> None:
        super().__init__()
        self.rows = nn.ModuleDict({row: FrontalizationQuality() for row in rows})

    def __getitem__(self, row: str) -> FrontalizationQuality:
        """Return the row of that name."""
        return cast(FrontalizationQuality, self.rows[row])

    def summarize(self) -> dict[str, Tensor]:
        """Compute ``<row>_<quantity>`` over all processes, then start anew.

        Every process must call it, whether it counted anything or not.
        """
        summary: dict[str, Tensor] = {}
        for row in self.rows:
            with warnings.catch_warnings():
                # A process with no sample of a row still has to take part in the sum.
                warnings.filterwarnings("ignore", message="The ``compute`` method of metric")
                means: dict[str, Tensor] = self[row].compute()
            summary |= {f"{row}_{name}": mean for name, mean in means.items()}
            self[row].reset()
        return summary
