"""The table that a test of SSIM-VAE ends with."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as pl
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from callbacks.records.test_summary import TestSummary, number, said
from datamodules.errors import UserError


class OcclusionTable(TestSummary):
    """Prints what a reconstruction wins back on the test subjects and writes ``summary.json``.

    Each row is what was hidden, nothing first. Its measures are the accuracy of the Flow-CNN on the
    flow as it is and reconstructed, and the endpoint errors of both to the true flow, in pixels of
    the flow's grid. They are read from what the test logged as ``test/<measure>_<condition>``.

    ``summary.json`` holds ``rows``: by ``clean`` and each region ``accuracy,
    accuracy_reconstructed, epe_px, epe_px_reconstructed``; accuracies are shares from 0 to 1. And
    ``active_units``, the latent dimensions in use, and ``epe_px_mean_flow``, the error of the mean
    flow of training, by which every face shows the same expression. What a region has as it is and
    that error cost nothing to reach.

    Reference:
        SSIM-VAE, Tables 1 and 2.
    """

    def measures(self, trainer: pl.Trainer) -> dict[str, Any]:
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
        logged = {key: float(value) for key, value in trainer.callback_metrics.items()}
        rows = {
            name: {
                f"{measure}{suffix}": number(logged, f"test/{measure}_{name}{suffix}")
                for measure in ("accuracy", "epe_px")
                for suffix in ("", "_reconstructed")
            }
            for name in ("clean", *regions)
        }
        others = ("active_units", "epe_px_mean_flow")
        return {"rows": rows, **{name: number(logged, f"test/{name}") for name in others}}

    def show(self, summary: dict[str, Any], console: Console) -> None:
        """Print the table with what it stands on."""
        table = Table(
            title=(
                f"Recognition under occlusion, data: {escape(summary['data'])}\n"
                f"fold {summary['fold']}, seed {summary['seed']}, "
                f"{summary['n_test']} test samples of {summary['n_test_subjects']} people"
            ),
            caption="accuracy of the Flow-CNN; EPE to the true flow",
            caption_justify="left",
        )
        table.add_column("hidden", no_wrap=True)
        columns = ("accuracy %", "reconstructed %", "won back", "EPE px", "reconstructed px")
        for name in columns:
            table.add_column(name, justify="right")
        clean = summary["rows"]["clean"]["accuracy"]
        for name, row in summary["rows"].items():
            table.add_row(
                "nothing" if name == "clean" else name,
                said(row["accuracy"], "{:.1f}", 100),
                said(row["accuracy_reconstructed"], "{:.1f}", 100),
                _won_back(row, clean),
                said(row["epe_px"], "{:.3f}"),
                said(row["epe_px_reconstructed"], "{:.3f}"),
            )
        console.print(table)
        active = said(summary["active_units"], "{:.0f}")
        guess = said(summary["epe_px_mean_flow"], "{:.3f}")
        console.print(f"EPE px of the mean flow of training: {guess}", highlight=False)
        console.print(f"latent dimensions in use: {active}", highlight=False)


def _won_back(row: dict[str, float | None], clean: float | None) -> str:
    """Say which part of the fall a reconstruction won back, where there was a fall."""
    occluded, restored = row["accuracy"], row["accuracy_reconstructed"]
    if clean is None or occluded is None or restored is None or clean <= occluded:
        return "-"
    return f"{(restored - occluded) / (clean - occluded):.0%}"
