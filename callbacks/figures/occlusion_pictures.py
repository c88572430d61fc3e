"""Pictures of the motion that an occlusion hid and that a reconstruction gave back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import lightning.pytorch as pl
from torch import Tensor

from callbacks.figures.grid import Cell, GridPictures, mean_epe


class OcclusionPictures(GridPictures):
    """Draws occluded, reconstructed and true flow side by side, on one colour scale.

    Each occluded and each reconstructed flow says its endpoint error in pixels of a 128x128 grid,
    and which expression is read from it.

    Args:
        every_n_epochs: See `GridPictures`.
        max_rows: See `GridPictures`.
        max_magnitude: See `GridPictures`.

    Reference:
        SSIM-VAE, Figures 4 and 5.
    """

    def __init__(
        self, every_n_epochs: int = 10, max_rows: int = 8, max_magnitude: float = 4.0
    ) -> None:
        super().__init__(every_n_epochs, max_rows, max_magnitude)

    def keys(self, outputs: Mapping[str, Any]) -> Sequence[str]:
        """Name the outputs that a row needs."""
        answers = [key for key in outputs if key.startswith("logits")]
        return ("flow", "occluded_flow", "reconstructed_flow", *answers)

    def columns(self, trainer: pl.Trainer) -> Sequence[str]:
        """Name what stands in a row: two flows for each region, and the true one."""
        regions = trainer.datamodule.regions  # type: ignore[attr-defined]
        pairs = [(f"{region} occluded", f"{region} reconstructed") for region in regions]
        return (*(title for pair in pairs for title in pair), "true flow")

    def cells(self, sample: Mapping[str, Tensor], class_names: Sequence[str]) -> list[Cell]:
        """Draw the flows of a sample."""
        true = sample["flow"]
        regions = [
            key.removeprefix("logits_").removesuffix("_reconstructed")
            for key in sample
            if key.endswith("_reconstructed") and key != "logits_clean_reconstructed"
        ]

        def cell(flow: Tensor, condition: str) -> Cell:
            read = class_names[int(sample[f"logits_{condition}"].argmax())]
            return self.flow_cell(flow, f"{mean_epe(flow, true):.2f} px, {read}")

        cells = []
        for index, region in enumerate(regions):
            cells.append(cell(sample["occluded_flow"][index], region))
            cells.append(cell(sample["reconstructed_flow"][index], f"{region}_reconstructed"))
        read = class_names[int(sample["logits"].argmax())]
        return [*cells, self.flow_cell(true, read)]
