"""How near a flow, and the face that it animates, come to the true frontal ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from kornia.metrics import ssim
from torch import Tensor

from datamodules.batch import REFERENCE_SIDE
from lightning_modules.metrics.means import SampleMeans
from losses.flow import endpoint_error

FACE_SHARE = 1 / 1.6
"""Side of the face in sides of a loose crop, which is 1.6 boxes of the face detector wide."""


def measure_flow(
    flow: Tensor, true_flow: Tensor, logits: Tensor, judged: Tensor, label: Tensor
) -> dict[str, Tensor]:
    """Measure flows against the true frontal ones, sample by sample.

    ``epe_px`` is the endpoint error over the whole crop, ``epe_face_px`` that in the middle square
    of it where the face detector saw the frontal face at rest, from the brows to the chin: a
    region that no method chooses. Both are in pixels of a 128x128 grid, whatever the size of the
    flows, so that runs of different sizes compare.

    Args:
        flow: Flows [B, 2, H, W] in pixels.
        true_flow: Frontal flows [B, 2, H, W] in pixels.
        logits: What Flow-CNN says of ``flow`` [B, K].
        judged: What the independent Flow-CNN says of it [B, K].
        label: Class indices [B].

    Returns:
        ``epe_px``, ``epe_face_px``, ``accuracy`` and ``judge_accuracy`` (whether the networks were
        right), ``judge_confidence`` (its probability of the right class): each [B].
    """
    height, width = flow.shape[-2:]
    error = endpoint_error(flow, true_flow, reduction="none") * (REFERENCE_SIDE / width)
    rows, columns = (middle(side, FACE_SHARE) for side in (height, width))
    confidence = judged.softmax(dim=1).gather(1, label[:, None]).squeeze(1)
    return {
        "epe_px": error.mean((1, 2)),
        "epe_face_px": error[:, rows, columns].mean((1, 2)),
        "accuracy": (logits.argmax(dim=1) == label).float(),
        "judge_accuracy": (judged.argmax(dim=1) == label).float(),
        "judge_confidence": confidence,
    }


def measure_face(face: Tensor, apex: Tensor) -> dict[str, Tensor]:
    """Measure faces against the true apex, sample by sample.

    SSIM is the mean of its map (Gaussian window of 11) over an image; RMSE is the root of the mean
    squared difference over an image, in grey levels 0 to 255.

    Args:
        face: Faces [B, 3, H, W] in [0, 1].
        apex: True faces of the same shape.

    Returns:
        ``ssim`` and ``rmse``: each [B].

    Reference:
        eMotion-GAN, V.A, Table I.
    """
    face, apex = face.float(), apex.float()
    return {
        "ssim": ssim(face, apex, window_size=11).mean((1, 2, 3)),
        "rmse": (255 * (face - apex)).square().mean((1, 2, 3)).sqrt(),
    }


class FrontalizationQuality(SampleMeans):
    """Means of what :func:`measure_flow` and :func:`measure_face` say, for each row of a table.

    A sample of which one measure is NaN has none: a network names a class of no flow too.

    Args:
        flows: Rows of flows.
        faces: Rows of faces. A mean is named ``<row>_<quantity>``.
        named: Names of further judges of faces, each with an ``image_accuracy_<name>``.
    """

    def __init__(
        self, flows: Iterable[str], faces: Iterable[str], named: Iterable[str] = ()
    ) -> None:
        of_flows = ("epe_px", "epe_face_px", "accuracy", "judge_accuracy", "judge_confidence")
        of_faces = ("ssim", "rmse", "image_accuracy", *(f"image_accuracy_{n}" for n in named))
        super().__init__(
            [f"{row}_{quantity}" for row in flows for quantity in of_flows]
            + [f"{row}_{quantity}" for row in faces for quantity in of_faces]
        )

    def count(self, row: str, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Count a batch.

        Args:
            row: The row.
            values: Measures of its samples, each [B].

        Returns:
            The measures by their full names.
        """
        known = torch.stack([*values.values()]).isfinite().all(dim=0)
        named = {f"{row}_{quantity}": v.where(known, torch.nan) for quantity, v in values.items()}
        self.update(**named)
        return named


def middle(side: int, share: float) -> slice:
    """Return the middle of a crop's side that so large a share of it fills."""
    edge = round(side * (1 - share) / 2)
    return slice(edge, side - edge)
