"""The table that a test of SSIM-VAE ends with."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as pl

from callbacks.tables.base import TestTable, TextTable, formatted, number
from datamodules.errors import UserError

_COLUMNS = (
    "hidden",
    "accuracy %",
    "reconstructed %",
    "won back",
    "baseline %",
    "EPE px",
    "reconstructed px",
)
_MEASURES = (
    *(("accuracy", suffix) for suffix in ("", "_reconstructed", "_baseline")),
    *(("epe_px", suffix) for suffix in ("", "_reconstructed")),
)


class OcclusionTable(TestTable):
    """Prints what a reconstruction wins back on the test subjects and writes ``summary.json``.

    Each row is what was hidden, nothing first. Its measures are the accuracy of the Flow-CNN on the
    flow as it is and reconstructed, that of the baseline, which learned on occluded flows, on the
    flow as it is, and the endpoint errors of both flows to the true one, in pixels of a 128x128
    grid. They are read from what the test logged as ``test/<measure>_<condition>``.

    ``summary.json`` holds ``rows``: by ``clean`` and each region ``accuracy,
    accuracy_reconstructed, accuracy_baseline, epe_px, epe_px_reconstructed``; accuracies are shares
    from 0 to 1. And ``active_units``, the latent dimensions in use, and ``epe_px_mean_flow``, the
    error of the mean flow of training, by which every face shows the same expression. What a region
    has as it is, the baseline and that error are had without a reconstruction.

    Reference:
        SSIM-VAE, Tables 1 and 2.
    """

    title = "Recognition under occlusion"

    def measures(self, trainer: pl.Trainer, logged: dict[str, float]) -> dict[str, Any]:
        """Read the rows.

        Raises:
            UserError: If the data module does not say which regions it hides.
        """
        regions = getattr(trainer.datamodule, "regions", None)  # type: ignore[attr-defined]
        if not regions:
            raise UserError(
                "OcclusionTable needs a data module that names its regions, like "
                "OccludedCKPlusDataModule; take it out of the callbacks of another method."
            )
        rows = {
            name: {
                f"{measure}{suffix}": number(logged, f"test/{measure}_{name}{suffix}")
                for measure, suffix in _MEASURES
            }
            for name in ("clean", *regions)
        }
        others = ("active_units", "epe_px_mean_flow")
        return {"rows": rows, **{name: number(logged, f"test/{name}") for name in others}}

    def tables(self, summary: dict[str, Any]) -> list[TextTable]:
        """Lay out what was hidden in the rows."""
        clean = summary["rows"]["clean"]["accuracy"]
        rows = [
            [
                "nothing" if name == "clean" else name,
                formatted(row["accuracy"], "{:.1f}", 100),
                formatted(row["accuracy_reconstructed"], "{:.1f}", 100),
                _won_back(row, clean),
                formatted(row["accuracy_baseline"], "{:.1f}", 100),
                formatted(row["epe_px"], "{:.3f}"),
                formatted(row["epe_px_reconstructed"], "{:.3f}"),
            ]
            for name, row in summary["rows"].items()
        ]
        return [TextTable("occlusion", _COLUMNS, rows)]

    def notes(self, summary: dict[str, Any]) -> list[str]:
        """Say what the columns are, what no input gives, and how many dimensions are in use."""
        error = formatted(summary["epe_px_mean_flow"], "{:.3f}")
        return [
            "accuracy of the Flow-CNN; EPE to the true flow",
            "baseline: a Flow-CNN that learned on clean and occluded flows, without reconstruction",
            f"EPE px of the mean flow of training: {error}",
            f"latent dimensions in use: {formatted(summary['active_units'], '{:.0f}')}",
        ]


def _won_back(row: dict[str, float | None], clean: float | None) -> str:
    """Say which part of the fall a reconstruction won back, where there was a fall."""
    occluded, restored = row["accuracy"], row["accuracy_reconstructed"]
    if clean is None or occluded is None or restored is None or clean <= occluded:
        return "-"
    return f"{(restored - occluded) / (clean - occluded):.0%}"
