"""How near a flow, and the face that it animates, come to the true frontal ones."""

from __future__ import annotations

from collections.abc import Iterable

from kornia.metrics import ssim
from torch import Tensor

from datamodules.batch import REFERENCE_SIDE
from lightning_modules.metrics.means import SampleMeans
from losses.flow import endpoint_error


class FrontalizationQuality(SampleMeans):
    """Endpoint error and recognition of flows, SSIM and RMSE of faces, for each row of a table.

    The endpoint error is in pixels of a 128x128 grid, whatever the size of the flows, so that runs
    of different sizes compare. SSIM is the mean of its map (Gaussian window of 11) over an image;
    RMSE is the root of the mean squared difference over an image, in grey levels 0 to 255. Both
    are then averaged over images.

    Args:
        rows: Names of the rows. What is computed is named ``<row>_<quantity>``.

    Reference:
        eMotion-GAN, V.A, Tables I and II.
    """

    def __init__(self, rows: Iterable[str]) -> None:
        quantities = ("epe_px", "accuracy", "ssim", "rmse")
        super().__init__(f"{row}_{quantity}" for row in rows for quantity in quantities)

    def count(
        self,
        row: str,
        flow: Tensor,
        true_flow: Tensor,
        logits: Tensor,
        label: Tensor,
        face: Tensor | None = None,
        apex: Tensor | None = None,
    ) -> None:
        """Count a batch.

        Args:
            row: The row.
            flow: Flows [B, 2, H, W] in pixels.
            true_flow: Frontal flows [B, 2, H, W] in pixels.
            logits: What Flow-CNN says of ``flow`` [B, K].
            label: Class indices [B].
            face: Faces [B, 3, H, W] in [0, 1] that ``flow`` animated, where they are measured.
            apex: True faces of the same shape, with ``face``.
        """
        error = endpoint_error(flow, true_flow, reduction="none").mean((1, 2))
        values = {
            "epe_px": error * (REFERENCE_SIDE / flow.shape[-1]),
            "accuracy": logits.argmax(dim=1) == label,
        }
        if face is not None and apex is not None:
            face, apex = face.float(), apex.float()
            values["ssim"] = ssim(face, apex, window_size=11).mean((1, 2, 3))
            values["rmse"] = (255 * (face - apex)).square().mean((1, 2, 3)).sqrt()
        self.update(**{f"{row}_{name}": value for name, value in values.items()})
