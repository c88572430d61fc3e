"""The faces and labels that machines are fitted on, taken whole from a data module."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from datamodules.errors import UserError
from datamodules.labels import ACTION_UNITS, EXPRESSION_UNITS, Expression

_CHUNK = 256


class LabelledPart(NamedTuple):
    """A part of a data set in the order of its rows, not augmented.

    Axis letters: N samples, A action units.

    Attributes:
        images: Memory map of all cached images, uint8 [*, H, W] or [*, H, W, 3].
        rows: int64 [N], where the part's images are in it; also their sample ids.
        label: int64 [N], class indices; -1 for faces of which only action units are known.
        subject: int64 [N], number of the person; None where nobody knows.
        action_units: int64 [N, A], 0 or 1, in the order of ``ACTION_UNITS``; None where the data
            set has none of its own.
    """

    images: NDArray[np.uint8]
    rows: NDArray[np.int64]
    label: NDArray[np.int64]
    subject: NDArray[np.int64] | None
    action_units: NDArray[np.int64] | None

    def chunks(self, device: torch.device) -> Iterator[Tensor]:
        """Yield all images in order, as batches hold them: float32 [B, 3, H, W] in [0, 1]."""
        for start in range(0, len(self.rows), _CHUNK):
            pixels = torch.from_numpy(np.asarray(self.images[self.rows[start : start + _CHUNK]]))
            image = pixels.to(device).float().div_(255)
            if image.ndim == 3:
                yield image[:, None].expand(-1, 3, -1, -1)
            else:
                yield image.permute(0, 3, 1, 2)


def labelled_part(datamodule: Any, part: str, task: str) -> LabelledPart:
    """Take the labelled faces of a part.

    Args:
        datamodule: With ``faces(part)`` and ``annotations(part)``, as a ``FaceDataModule``.
        part: train, val or test.
        task: emotions, or action_units, for which a face needs no expression where the data set
            knows its units.

    Returns:
        The part, without images of which nothing is known.

    Raises:
        UserError: If the data module is of another kind.
    """
    if not hasattr(datamodule, "faces") or not hasattr(datamodule, "annotations"):
        raise UserError(
            "DCGAN + SVM needs a data module of still images, such as RAFDBDataModule; got "
            f"{type(datamodule).__name__}."
        )
    images, rows = datamodule.faces(part)
    columns = datamodule.annotations(part)
    label = np.asarray(columns["label"], np.int64)
    units, subject = columns.get("action_units"), columns.get("subject")
    labelled = label >= 0
    if task == "action_units" and units is not None:
        labelled[:] = True
    return LabelledPart(
        images,
        np.asarray(rows)[labelled],
        label[labelled],
        None if subject is None else np.asarray(subject, np.int64)[labelled],
        None if units is None else np.asarray(units, np.int64)[labelled],
    )


def unit_table(class_names: Sequence[str]) -> Tensor:
    """Return which action units the faces of each class show by convention.

    Args:
        class_names: Names of the K expressions.

    Returns:
        int64 [K, A], 0 or 1, in the order of ``ACTION_UNITS``.

    Reference:
        Alharbawee and Pugeault, Table VI.
    """
    # A neutral face moves none, and stands in no row of the table.
    shown = [EXPRESSION_UNITS.get(Expression[name.upper()], ()) for name in class_names]
    return torch.tensor([[int(unit in units) for unit in ACTION_UNITS] for units in shown])


def shown_units(faces: LabelledPart, class_names: Sequence[str]) -> NDArray[np.int64]:
    """Return which action units faces show [N, A]: the data set's own, or those of their class."""
    if faces.action_units is not None:
        return faces.action_units
    own: NDArray[np.int64] = unit_table(class_names)[torch.from_numpy(faces.label)].numpy()
    return own
